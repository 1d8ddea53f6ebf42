"""Requests whose answers go on, and addresses of images."""

from __future__ import annotations

import asyncio
import base64
import http.client
import json

from scripts.attack.attacker import Attack, request
from scripts.attack.bodies import BULK, JSON, LINES
from scripts.attack.inputs import ANYBODY, ENROLL, MB, SEARCH, Input, Run, each
from scripts.attack.target import COLLECTION, Target

BATCH = 64 * MB
"""Memory in which the task enrols images, about."""

REFUSED_URLS = (
    "http://127.0.0.1:{port}/healthz",
    "http://localhost:{port}/healthz",
    "http://2130706433:{port}/healthz",
    "http://[::ffff:127.0.0.1]:{port}/healthz",
    "http://0.0.0.0:{port}/healthz",
    "http://10.0.0.1/a.jpg",
    "http://169.254.169.254/latest/meta-data",
    "http://a:b@127.0.0.1:{port}/healthz",
    "file:///etc/passwd",
)


def event_streams(number: int, lines: int, photograph: bytes) -> Run:
    """Streams of the events of one task, an upload of the given number of images."""

    async def run(attack: Attack) -> None:
        task = await asyncio.to_thread(_begin, attack.target, lines, photograph)
        one = request("GET", f"/v1/tasks/{task}/events", key=attack.target.enroll)
        attack.sent += lines * len(photograph) * 4 // 3
        try:
            await asyncio.gather(*(attack.exchange([one]) for _ in range(number)))
        finally:
            await asyncio.to_thread(_call, attack.target, "DELETE", f"/v1/tasks/{task}")

    return run


def _begin(target: Target, lines: int, photograph: bytes) -> str:
    encoded = base64.b64encode(photograph).decode()
    body = "".join(f'{{"person": "s{number}", "image_base64": ["{encoded}"]}}\n' for number in range(lines))
    return str(_call(target, "POST", BULK, body.encode(), LINES)["id"])


def _call(target: Target, method: str, path: str, body: bytes = b"", kind: str = "") -> dict[str, object]:
    connection = http.client.HTTPConnection(target.host, target.port, timeout=60)
    connection.request(method, path, body, {"X-API-Key": target.enroll, **({"Content-Type": kind} if kind else {})})
    answer: dict[str, object] = json.loads(connection.getresponse().read())
    connection.close()
    return answer


def _addresses(target: Target) -> list[bytes]:
    def one(url: str) -> bytes:
        content = json.dumps({"collections": [COLLECTION], "image_url": url.format(port=target.port)}).encode()
        return request("POST", "/v1/search", content, key=target.search, kind=JSON)

    return [one(url) for url in REFUSED_URLS]


def _with_host(target: Target) -> list[bytes]:
    return [
        request("GET", path, key=target.search).replace(b"Host: localhost", b"Host: evil.example")
        for path in ("/healthz/", "/v1/info/", "/docs/", "/console", "/v1/collections/")
    ]


ADDRESSES = Input(
    "image_url: this machine, private addresses, files", SEARCH, each(_addresses), each(_addresses),
    answers=frozenset({"400", "403", "422"}),
)  # fmt: skip
HOSTS = Input(
    "paths with a slash at the end, another Host", ANYBODY, each(_with_host), each(_with_host),
    answers=frozenset({"200", "401", "404"}),
)  # fmt: skip


def inputs(photograph: bytes) -> tuple[Input, ...]:
    """With uploads of this image."""
    streams = event_streams(100, 300, photograph), event_streams(100, 100, photograph)
    events = Input("event streams of one task, 100 of one key", ENROLL, *streams, unpacked=BATCH)
    return events, ADDRESSES, HOSTS
