"""Whole requests as bytes, so that path, headers and body can be damaged alike; sent to all dialects.

POST /v1/search HTTP/1.1
content-type: application/json
(empty line)
{"image_base64": ...
"""

from __future__ import annotations

import asyncio
import atexit
import base64
import json
import re
from collections.abc import Awaitable, Callable, Iterator
from functools import cache
from typing import Any
from urllib.parse import unquote

import h11
from fastapi import FastAPI
from fastapi.testclient import TestClient

from serve_app.api.app import create_app
from serve_app.api.dialects import chosen
from serve_app.api.image_url import ImageFetcher
from serve_app.domain import DEFAULT_TENANT, Detection, DetectOptions, Role
from serve_app.errors import ImageUndecodable, ImageUrlRefused
from tests.api.conftest import World
from tests.fakes.stages import fake_picture

BOUNDARY = "boundary"
DEEP = 100_000
EXPECTED_5XX = {501, 503}
MOST_PARTS = 3000

LINE = re.compile(rb"[A-Z]+ /[!-~]* HTTP/1\.1")
HEADER = re.compile(rb"[A-Za-z0-9-]+: [ -~]*")


class NoInternet(ImageFetcher):
    """Fetches nothing."""

    async def fetch(self, url: str) -> bytes:
        raise ImageUrlRefused("The host of the URL is not on the public Internet.")


@cache
def application() -> tuple[FastAPI, World, asyncio.AbstractEventLoop]:
    """The one application of this process, over fake models; a person is enrolled."""
    holder: list[World] = []
    app = create_app(lambda: holder[0].context, chosen(("all",)))
    world = World(TestClient(app))
    atexit.register(world.leave)
    holder.append(world)
    world.detector.detect = _strict(world.detector.detect)  # type: ignore[method-assign]
    world.context.by_url = NoInternet(world.context.settings.image_urls, 20_000)
    world.call("POST", "/v1/collections", json={"name": "staff"}).raise_for_status()
    world.enrol("ada", "ada").raise_for_status()
    return app, world, asyncio.new_event_loop()


def _strict(detect: Callable[..., Awaitable[Detection]]) -> Callable[..., Awaitable[Detection]]:
    """The fake detector reads pictures of its own kind, which are not what is tried here."""

    async def detected(image: bytes, options: DetectOptions) -> Detection:
        try:
            return await detect(image, options)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise ImageUndecodable("The picture is damaged.") from error

    return detected


def send(data: bytes) -> str:
    """The answer's status; "malformed" if no server passes it on. AssertionError: a status that no request may get."""
    app, _, loop = application()
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(data)
    try:
        request = connection.next_event()
        if not isinstance(request, h11.Request):
            return "malformed"
        messages = []
        while isinstance(event := connection.next_event(), h11.Data):
            messages.append({"type": "http.request", "body": bytes(event.data), "more_body": True})
        if isinstance(event, h11.EndOfMessage):
            messages.append({"type": "http.request", "body": b"", "more_body": False})
    except h11.RemoteProtocolError:
        return "malformed"
    path, _, query = request.target.partition(b"?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method.decode().upper(),
        "scheme": "http",
        "path": unquote(path.decode()),
        "raw_path": path,
        "root_path": "",
        "query_string": query,
        "headers": list(request.headers),
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    statuses: list[int] = []

    async def receive() -> dict[str, Any]:
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def answer(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    loop.run_until_complete(app(scope, receive, answer))
    if not statuses and not isinstance(event, h11.EndOfMessage):
        return "left in the middle"
    (status,) = statuses
    assert status < 500 or status in EXPECTED_5XX, f"{status} for {data[:2000]!r}"
    return str(status)


def mend(data: bytes) -> bytes:
    """Make a damaged request one that a server passes on: whole lines in the head, a key, the right length."""
    head, _, body = data.partition(b"\r\n\r\n")
    line, *lines = head.split(b"\r\n")
    line = line if LINE.fullmatch(line) else b"POST /v1/search HTTP/1.1"
    again = (b"host", b"content-length", *_keys())
    kept = [each for each in lines if HEADER.fullmatch(each) and each.lower().partition(b":")[0] not in again]
    own = [b"host: localhost", *_keys().values(), b"content-length: %d" % len(body)]
    return b"\r\n".join([line, *own, *kept, b"", body])


def seeds() -> list[bytes]:
    """A well-formed request to each operation, as its documentation's example says; and some that are hostile."""
    app, world, _ = application()
    document = app.openapi()
    found = []
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            content = operation.get("requestBody", {}).get("content", {None: {}})
            for media, described in content.items():
                head = f"{method.upper()} {_filled(path)} HTTP/1.1\r\n{_authentication(world, operation, document)}"
                found.append(_request(head, media, _body(world, media, described, document)))
    return [*found, *_hostile(world)]


def _filled(path: str) -> str:
    for name, value in {"name": "staff", "collection": "staff", "person_id": "ada", "face_id": "0" * 32}.items():
        path = path.replace("{" + name + "}", value)
    return path


def _request(head: str, media: str | None, body: bytes) -> bytes:
    kind = f"{media}; boundary={BOUNDARY}" if media == "multipart/form-data" else media
    described = f"content-type: {kind}\r\n" if kind else ""
    return f"{head}host: localhost\r\n{described}content-length: {len(body)}\r\n\r\n".encode() + body


@cache
def _admin() -> tuple[str, str]:
    key, secret = application()[1].keys.create(DEFAULT_TENANT, "fuzz", Role.ADMIN)
    return key.id, secret


@cache
def _keys() -> dict[bytes, bytes]:
    """The header lines that any of the dialects wants, by name."""
    app, world, _ = application()
    document = app.openapi()
    operations = [operation for methods in document["paths"].values() for operation in methods.values()]
    lines = {line for each in operations for line in _authentication(world, each, document).encode().split(b"\r\n")}
    return {line.partition(b":")[0].lower(): line for line in sorted(lines) if line}


def _authentication(world: World, operation: dict[str, Any], document: dict[str, Any]) -> str:
    lines = ""
    for wanted in operation.get("security", ()):
        for name in wanted:
            scheme = document["components"]["securitySchemes"][name]
            if scheme["type"] == "apiKey" and scheme["in"] == "header":
                lines += f"{scheme['name']}: {_admin()[1]}\r\n"
            elif scheme.get("scheme") == "basic":
                lines += f"authorization: Basic {base64.b64encode(':'.join(_admin()).encode()).decode()}\r\n"
    return lines


def _body(world: World, media: str | None, described: dict[str, Any], document: dict[str, Any]) -> bytes:
    if media is None:
        return b""
    values = dict(_values(described, document))
    if media == "application/json":
        return json.dumps(values).encode()
    parts = []
    for name, value in values.items():
        file = isinstance(value, bytes)
        content = value if file else str(value).encode()
        named = f'form-data; name="{name}"' + ('; filename="a.jpg"' if file else "")
        parts.append(f"--{BOUNDARY}\r\nContent-Disposition: {named}\r\n\r\n".encode() + content + b"\r\n")
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def _values(described: dict[str, Any], document: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    schema = described.get("schema", {})
    schema = document["components"]["schemas"].get(schema.get("$ref", "").rpartition("/")[2], schema)
    example = described.get("example", schema.get("example", {}))
    for name, value in (example if isinstance(example, dict) else {}).items():
        kind = str(schema.get("properties", {}).get(name, ""))
        if "binary" in kind:
            yield name, fake_picture("ada")
        elif name == "api_key":
            yield name, _admin()[0]
        elif name == "api_secret":
            yield name, _admin()[1]
        elif isinstance(value, str) and len(value) > 12 and value.endswith("..."):  # a picture's base64, shortened
            yield name, base64.b64encode(fake_picture("ada")).decode()
        else:
            yield name, value


def _hostile(world: World) -> Iterator[bytes]:
    head = f"POST /v1/search HTTP/1.1\r\nX-API-Key: {_admin()[1]}\r\n"
    for text in (
        b"[" * DEEP,
        b'{"collections":' * DEEP,
        b'{"collections": ' + b"[" * DEEP + b"]" * DEEP + b"}",
        b'{"max_results": ' + b"9" * 10_000 + b"}",
        b'{"min_score": NaN, "max_results": 1e999}',
        b'{"collections": ["\\ud800"], "\\u0000": 1}',
        b'\xff\xfe{\x00"\x00',
        b'{"faces": "all", "faces": "largest", "faces": {}}',
    ):
        yield _request(head, "application/json", text)
        yield _request(head, "multipart/form-data", text)
    part = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n'.encode()
    yield _request(head, "multipart/form-data", part * MOST_PARTS)
    header = f"--{BOUNDARY}\r\n" + "X-A: b\r\n" * 5000
    yield _request(head, "multipart/form-data", header.encode())
    for kind in ("application/json; charset=utf-16", "text/xml", "multipart/form-data; boundary=" + "b" * 5000):
        yield _request(head, kind, b"{}")
    yield _request(head, "application/json", b"{}").replace(b"length: 2", b"length: 999999999999")
    for path in ("/v1/collections/..%2f..%2fetc%2fpasswd", "/v1/faces/%00", "/v1/persons/" + "a" * 5000, "/%ff%fe"):
        yield _request(f"GET {path} HTTP/1.1\r\nX-API-Key: {_admin()[1]}\r\n", None, b"")
