"""Serving the HTTP application on a socket that listens already, without Ray Serve's proxy.

Keeps the proxy's promise: a request whose client has gone away is cancelled.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

KEEP_ALIVE_S = 90
"""As Ray Serve's proxy: longer than load balancers usually keep a connection."""

CLIENT_GONE = 499

Observer = Callable[[str, str, int, float], None]
"""Told of each request: its method, its route's pattern (empty if it has none), the status, the seconds it took."""


class HttpServer:
    """Serves in the running event loop until it is closed.

    Args:
        app: the application.
        listening: taken over, and closed at the end.
        observe: told of each request.
    """

    def __init__(self, app: ASGIApp, listening: socket.socket, observe: Observer = lambda *_: None) -> None:
        config = uvicorn.Config(
            CancelOnDisconnect(app, observe),
            lifespan="off",
            access_log=False,
            log_config=None,
            timeout_keep_alive=KEEP_ALIVE_S,
            server_header=False,
        )
        self._server = _Server(config)
        self._task = asyncio.get_running_loop().create_task(self._server.serve([listening]), name="http-server")

    @property
    def failed(self) -> bool:
        """Whether it ended without being closed."""
        return self._task.done() and not self._server.should_exit

    async def close(self) -> None:
        """Accept nothing more, answer what is being worked on."""
        self._server.should_exit = True
        await self._task


class _Server(uvicorn.Server):
    def capture_signals(self) -> contextlib.AbstractContextManager[None]:  # type: ignore[override]
        """Signals are the process's own business."""
        return contextlib.nullcontext()


class CancelOnDisconnect:
    """Cancels a request whose client has gone away."""

    def __init__(self, app: ASGIApp, observe: Observer = lambda *_: None) -> None:
        self._app = app
        self._observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, start = 0, time.perf_counter()
        left = False
        gone: asyncio.Task[Message] | None = None

        async def watched_receive() -> Message:
            nonlocal gone, left
            if gone is not None:  # the body is through: only a disconnect can follow
                return await asyncio.shield(gone)
            message = await receive()
            left = message["type"] == "http.disconnect"  # in the middle of the body: the application has to give up
            if message["type"] == "http.request" and not message.get("more_body", False):
                gone = asyncio.ensure_future(receive())
                gone.add_done_callback(lambda _: work.cancel())
            return message

        async def noted_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        work = asyncio.ensure_future(self._app(scope, watched_receive, noted_send))
        try:
            await work
        except asyncio.CancelledError:
            if gone is None or not gone.done():
                raise  # not by us
            left = True
        finally:
            if gone is not None:
                gone.cancel()
            route = getattr(scope.get("route"), "path", "")
            self._observe(
                scope.get("method", ""), route, status or (CLIENT_GONE if left else 500), time.perf_counter() - start
            )
