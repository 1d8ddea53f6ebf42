"""A busy replica says so at once, in the API's own words, and still answers its health checks."""

from __future__ import annotations

import asyncio
from typing import Any

from serve_app.api.limits import RequestGuard


def test_more_requests_than_allowed_get_429_with_retry_after() -> None:
    async def scenario() -> tuple[list[int], list[dict[str, str]], int, int]:
        gate, statuses, refused, served = asyncio.Event(), [], [], 0

        async def app(scope: Any, receive: Any, send: Any) -> None:
            nonlocal served
            served += 1
            if scope["path"] != "/readyz":
                await gate.wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        guard = RequestGuard(app, lambda: (1000, 3))

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
