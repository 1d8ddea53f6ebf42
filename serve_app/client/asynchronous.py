"""The asynchronous client."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Self

import httpx

from serve_app.client.api import Api
from serve_app.client.http import Call, Json, Patience, event_of, is_final, object_of, options_of, unreachable

Later = Coroutine[Any, Any, Json]


class AsyncClient(Api[Later, Coroutine[Any, Any, list[Json]], Coroutine[Any, Any, bytes], AsyncIterator[Json]]):
    """Asynchronous client of the native API, for one event loop; arguments as of :class:`~serve_app.client.Client`.

    async with AsyncClient("http://127.0.0.1:8000", key) as client:
        answers = await asyncio.gather(*(client.search(picture, ["staff"]) for picture in pictures))
    """

    def __init__(
        self,
        url: str,
        key: str = "",
        timeout_s: float = 60.0,
        *,
        patience_s: float = 60.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self.patience_s = patience_s
        self._http = httpx.AsyncClient(**options_of(self.url, key, timeout_s), transport=transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def ready(self) -> bool:
        """Whether all stages can serve now."""
        try:
            return (await self._http.get("/readyz", timeout=5.0)).status_code == 200
        except httpx.TransportError:
            return False

    async def wait_until_ready(self, timeout_s: float = 60.0) -> bool:
        """Wait until the service is ready; False if it is not ready within ``timeout_s`` seconds."""
        deadline = time.monotonic() + timeout_s
        while not await self.ready():
            if time.monotonic() >= deadline:
                return False
            await asyncio.sleep(min(0.5, timeout_s))
        return True

    async def wait_for_task(
        self, task_id: str, progress: Callable[[Json], None] | None = None, period_s: float = 0.5
    ) -> Json:
        """Wait until a task is done, failed or cancelled, and return it; see ``Client.wait_for_task``."""
        while True:
            task = await self.task(task_id)
            if is_final(task):
                return task
            if progress is not None:
                progress(task)
            await asyncio.sleep(period_s)

    # -- how requests are sent

    async def _object(self, call: Call) -> Json:
        return object_of(await self._send(call))

    async def _list(self, call: Call, name: str) -> list[Json]:
        found: list[Json] = (await self._object(call))[name]
        return found

    async def _bytes(self, call: Call) -> bytes:
        return (await self._send(call)).content

    async def _pages(self, page: Callable[[str | None], Later], name: str) -> AsyncIterator[Json]:
        cursor: str | None = None
        while True:
            answer = await page(cursor)
            for item in answer[name]:
                yield item
            cursor = answer["cursor"]
            if cursor is None:
                return

    async def _events(self, call: Call) -> AsyncIterator[Json]:
        while True:
            async for task in self._stream(call):
                yield task
                if is_final(task):
                    return
            await asyncio.sleep(1.0)  # the server ends a stream from time to time

    async def _stream(self, call: Call) -> AsyncIterator[Json]:
        patience = Patience(self.patience_s)
        while True:
            try:
                async with self._http.stream(call.method, call.path) as response:
                    if not response.is_success:
                        await response.aread()
                    pause = patience.pause(response)
                    if pause is None:
                        async for line in response.aiter_lines():
                            if (event := event_of(line)) is not None:
                                yield event
                        return
            except httpx.TransportError as error:
                raise unreachable(self.url, call, error) from None
            await asyncio.sleep(pause)

    async def _send(self, call: Call) -> httpx.Response:
        patience = Patience(self.patience_s)
        arguments = await asyncio.to_thread(call.encode) if call.reads_files else call.encode()
        while True:
            try:
                response = await self._http.request(call.method, call.path, **arguments)
            except (httpx.TransportError, httpx.InvalidURL) as error:
                raise unreachable(self.url, call, error) from None
            pause = patience.pause(response)
            if pause is None:
                return response
            await asyncio.sleep(pause)
