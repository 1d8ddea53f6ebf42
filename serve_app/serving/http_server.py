"""HTTP server for an existing listening socket, used instead of Ray Serve's proxy.

As with the proxy, a request whose client has disconnected is cancelled.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable
from functools import partial

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_app.serving.connection_bounds import ConnectionBounds
from serve_app.serving.http_connection import HttpConnection
from serve_app.serving.open_connections import OpenConnections

KEEP_ALIVE_S = 90
"""Keep-alive timeout in seconds, as in Ray Serve's proxy: longer than load balancers usually keep a connection."""

CLIENT_GONE = 499

Observer = Callable[[str, str, int, float], None]
"""Called after each request with method, route pattern (empty if there is none), status and seconds."""


class HttpServer:
    """HTTP server in the running event loop; runs until it is closed.

    Args:
        listening: the listening socket; the server closes it at the end.
        observe: called after each request.
        bounds: of its connections.
        keep_alive_s: seconds after which a connection without a request is closed.
    """

    def __init__(
        self,
        app: ASGIApp,
        listening: socket.socket,
        observe: Observer = lambda *_: None,
        bounds: ConnectionBounds | None = None,
        keep_alive_s: int = KEEP_ALIVE_S,
    ) -> None:
        connections = OpenConnections(bounds or ConnectionBounds())
        config = uvicorn.Config(
            CancelOnDisconnect(app, observe),
            http=partial(HttpConnection, connections),  # type: ignore[arg-type]  # uvicorn only calls it
            lifespan="off",
            access_log=False,
            log_config=None,
            timeout_keep_alive=keep_alive_s,
            server_header=False,
        )
        self._server = _Server(config)
        self._task = asyncio.get_running_loop().create_task(self._server.serve([listening]), name="http-server")

    @property
    def failed(self) -> bool:
        """Whether the server ended without being closed."""
        return self._task.done() and not self._server.should_exit

    async def close(self) -> None:
        """Accept no more connections, and answer the requests in progress."""
        self._server.should_exit = True
        await self._task


class _Server(uvicorn.Server):
    def capture_signals(self) -> contextlib.AbstractContextManager[None]:  # type: ignore[override]
        """Leave signals alone: they belong to the process, not to this server."""
        return contextlib.nullcontext()


class CancelOnDisconnect:
    """Cancels a request whose client has disconnected."""

    def __init__(self, app: ASGIApp, observe: Observer = lambda *_: None) -> None:
        self._app = app
        self._observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, start = 0, time.perf_counter()
        disconnected = False
        disconnect: asyncio.Task[Message] | None = None  # waits for the client to disconnect

        async def watched_receive() -> Message:
            nonlocal disconnect, disconnected
            if disconnect is not None:  # the body is complete: only a disconnect can follow
                return await asyncio.shield(disconnect)
            message = await receive()
            disconnected = message["type"] == "http.disconnect"  # in the middle of the body
            if message["type"] == "http.request" and not message.get("more_body", False):
                disconnect = asyncio.ensure_future(receive())
                disconnect.add_done_callback(lambda _: work.cancel())
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
            if disconnect is None or not disconnect.done():
                raise  # cancelled from outside
            disconnected = True
        finally:
            if disconnect is not None:
                disconnect.cancel()
            route = getattr(scope.get("route"), "path", "")
            status = status or (CLIENT_GONE if disconnected else 500)
            self._observe(scope.get("method", ""), route, status, time.perf_counter() - start)
