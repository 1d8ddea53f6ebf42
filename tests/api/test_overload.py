"""A busy replica refuses requests at once with the API's own error and still answers its health checks."""

from __future__ import annotations

import asyncio
from typing import Any

from serve_app.api.places import prove
from serve_app.api.request_guard import RequestGuard
from serve_app.api.request_limits import bounds_of
from serve_app.settings import IngressSettings, Settings

BOUNDS = bounds_of(Settings(ingress=IngressSettings(max_in_flight=3, max_in_flight_per_key=3)))


def test_more_requests_than_allowed_get_429_with_retry_after() -> None:
    async def scenario() -> tuple[list[int], list[dict[str, str]], int, int]:
        gate, statuses, refused, served = asyncio.Event(), [], [], 0

        async def app(scope: Any, receive: Any, send: Any) -> None:
            nonlocal served
            served += 1
            if scope["path"] != "/readyz":
                prove("key")
                await gate.wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        guard = RequestGuard(app, lambda: BOUNDS)

        async def call(path: str) -> None:
            async def receive() -> Any:
                return {"type": "http.request", "body": b"", "more_body": False}

            async def send(message: Any) -> None:
                if message["type"] == "http.response.start":
                    statuses.append(message["status"])
                    if message["status"] == 429:
                        refused.append({k.decode(): v.decode() for k, v in message["headers"]})

            scope = {"type": "http", "method": "POST", "path": path, "headers": [], "query_string": b""}
            await guard(scope, receive, send)

        waiting = [asyncio.create_task(call("/v1/search")) for _ in range(3)]
        await asyncio.sleep(0)
        await call("/v1/search")
        await call("/readyz")
        gate.set()
        await asyncio.gather(*waiting)
        before = len(statuses)
        await call("/v1/search")
        return statuses, refused, before, served

    statuses, refused, before, served = asyncio.run(scenario())
    assert statuses[:2] == [429, 200]
    assert statuses[2:before] == [200, 200, 200]
    assert statuses[before:] == [200], "the place of a finished request is free again"
    assert served == 5
    assert refused[0]["retry-after"] == "1"
    assert refused[0]["content-type"] == "application/json"
    assert refused[0]["x-request-id"]


def test_a_request_that_takes_too_long_is_given_up() -> None:
    cancelled = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    messages = []

    async def send(message: Any) -> None:
        messages.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {"type": "http", "method": "POST", "path": "/v1/search", "headers": [], "query_string": b""}
    asyncio.run(RequestGuard(app, lambda: BOUNDS._replace(timeout_s=0.05))(scope, receive, send))
    assert cancelled == [True]
    assert messages[0]["status"] == 503
    assert b'"code":"request_timeout"' in messages[1]["body"]
    assert b'"outcome":"unknown"' in messages[1]["body"]
