"""Ray Serve's proxy: bounds of its connections, and a middleware that turns its own errors into the service's 503.

The proxy listens shortly before it knows the application, and answers every path with 404 until then; a client that
deletes a person would conclude that there is no such person. When the replica that works on a request dies, the proxy
sends no response, which the server below it turns into a 500.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.config import HTTP_PROTOCOLS

from serve_app.errors import Unavailable
from serve_app.serving.connection_bounds import ConnectionBounds
from serve_app.serving.http_connection import HttpConnection
from serve_app.serving.open_connections import OpenConnections

RETRY_AFTER_S = 1


def middlewares() -> list[Middleware]:
    """The proxy's middlewares, for ``RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH``.

    The proxy calls this before it makes its uvicorn server, so the server takes the protocol that is set here.
    """
    HTTP_PROTOCOLS["auto"] = f"{__name__}:bounded_connection"
    return [Middleware(ProxyAnswers)]


def bounded_connection(**uvicorn: Any) -> HttpConnection:
    """The protocol of a connection to this process's proxy, with the default bounds: it does not know the settings."""
    return HttpConnection(_connections(), **uvicorn)


@cache
def _connections() -> OpenConnections:
    return OpenConnections(ConnectionBounds())


class ProxyAnswers:
    """Replaces the two errors by the service's 503; passes everything else on."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answered = False
        start_of_404: Message | None = None  # held back until the body shows where the 404 comes from

        async def filtered_send(message: Message) -> None:
            nonlocal answered, start_of_404
            answered = True
            if message["type"] == "http.response.start" and message["status"] == 404:
                start_of_404 = message
                return
            start, start_of_404 = start_of_404, None
            if start is not None and _knows_no_application(start, message):
                answer = _unavailable("The service is starting; send the request again.")
                await answer(scope, receive, send)
                return
            if start is not None:
                await send(start)
            await send(message)

        await self._app(scope, receive, filtered_send)
        if not answered:  # if the client has disconnected, this response is discarded
            lost = "The replica died during this request. Either all of its changes were made or none."
            await _unavailable(lost, outcome="unknown")(scope, receive, send)


def _knows_no_application(start: Message, body: Message) -> bool:
    plain = any(name.lower() == b"content-type" and value.startswith(b"text/plain") for name, value in start["headers"])
    return plain and bytes(body.get("body", b"")).endswith(b"/-/routes for available routes.")


def _unavailable(message: str, **details: Any) -> Response:
    error = Unavailable(message, **details, retry_after_s=RETRY_AFTER_S)
    fields = {"code": error.code, "message": error.message, "details": error.details, "request_id": ""}
    headers = {"Cache-Control": "no-store", "Retry-After": str(RETRY_AFTER_S)}
    return Response(json.dumps({"error": fields}), error.status, headers, media_type="application/json")
