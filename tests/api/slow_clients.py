"""Clients at the ASGI level that send a body piece by piece, read an answer slowly, or disconnect."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from starlette.types import ASGIApp, Message


class SlowClient:
    """One request. Must be made in a running event loop.

    Args:
        declared: the Content-Length; None for a body without one.
        reads: whether the answer is read; otherwise the first write of it waits until the client disconnects.

    Attributes:
        asked: whether the application asked for the body, or for what follows it.
    """

    def __init__(
        self,
        app: ASGIApp,
        method: str,
        path: str,
        headers: Mapping[str, str],
        declared: int | None = 0,
        *,
        query: str = "",
        reads: bool = True,
    ) -> None:
        length = ("Transfer-Encoding", "chunked") if declared is None else ("Content-Length", str(declared))
        self._inbox: asyncio.Queue[Message] = asyncio.Queue()
        self._answered = asyncio.Event()
        self._reading = asyncio.Event()
        if reads:
            self._reading.set()
        self.asked = False
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        sent = [(name.lower().encode(), value.encode()) for name, value in (*headers.items(), length)]
        scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "headers": sent}
        scope |= {"query_string": query.encode(), "http_version": "1.1", "scheme": "http", "server": ("x", 80)}
        if declared == 0:
            self.send(b"", more=False)
        self.task = asyncio.ensure_future(app(scope, self._receive, self._send))

    def send(self, piece: bytes, more: bool = True) -> None:
        """A piece of the body."""
        self._inbox.put_nowait({"type": "http.request", "body": piece, "more_body": more})

    async def leave(self) -> None:
        """Disconnect: the server cancels the request."""
        self._inbox.put_nowait({"type": "http.disconnect"})
        self.task.cancel()
        await asyncio.wait([self.task])

    async def answer(self) -> tuple[int, bytes]:
        """Status and body of the whole answer; a body that is still on the way is not sent any more."""
        await asyncio.wait_for(self._answered.wait(), 60)
        await self.leave()
        return self.status, self.body

    async def _receive(self) -> Message:
        self.asked = True
        return await self._inbox.get()

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            self.body += message.get("body", b"")
            if not message.get("more_body", False) or self.status >= 400:  # the end waits for an unread body
                self._answered.set()
        await self._reading.wait()
