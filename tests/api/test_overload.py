"""A busy replica refuses requests at once with the API's own error and still answers its health checks."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

import pytest

from serve_app.api.key_limits import ConcurrencyLimit, request_scope
from serve_app.api.request_guard import Bounds, RequestGuard
from serve_app.domain import ApiKey, Role
from serve_app.errors import RateLimited
from tests.waiting import until


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

        guard = RequestGuard(app, lambda: Bounds(1000, 3, 3, 60))

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
    asyncio.run(RequestGuard(app, lambda: Bounds(1000, 3, 3, 0.05))(scope, receive, send))
    assert cancelled == [True]
    assert messages[0]["status"] == 503
    assert b'"code":"request_timeout"' in messages[1]["body"]
    assert b'"outcome":"unknown"' in messages[1]["body"]


def test_a_key_has_so_many_places_and_gets_them_back() -> None:
    concurrency = ConcurrencyLimit(2)
    one, other = (ApiKey(name, "t", name, Role.SEARCH, dt.datetime.now(dt.UTC)) for name in ("one", "other"))
    with request_scope():
        concurrency.take(one)
        concurrency.take(one)  # the same request

    async def request(key: ApiKey, gate: asyncio.Event) -> None:
        with request_scope():
            await asyncio.to_thread(concurrency.take, key)  # as FastAPI calls what is not async
            await gate.wait()

    async def scenario() -> None:
        gate = asyncio.Event()
        waiting = [asyncio.create_task(request(one, gate)) for _ in range(2)]
        await until(lambda: concurrency._busy == {"one": 2})
        with pytest.raises(RateLimited) as refused:
            await asyncio.wait_for(request(one, gate), 60)
        assert refused.value.details["retry_after_s"] == 1
        waiting.append(asyncio.create_task(request(other, gate)))
        await until(lambda: concurrency._busy == {"one": 2, "other": 1})
        waiting[0].cancel()  # a client that went away
        await until(lambda: concurrency._busy == {"one": 1, "other": 1})
        waiting.append(asyncio.create_task(request(one, gate)))
        gate.set()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert not concurrency._busy

    asyncio.run(scenario())


def test_no_limit_means_none() -> None:
    concurrency = ConcurrencyLimit(0)
    key = ApiKey("one", "t", "one", Role.SEARCH, dt.datetime.now(dt.UTC))
    with request_scope():
        for _ in range(100):
            concurrency.take(key)
    assert not concurrency._busy
