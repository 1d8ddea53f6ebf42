"""What Ray Serve's proxy would say by itself, in the service's words.

The proxy listens a moment before it knows the application, which has every path. Its 404 of that time would tell
whoever deletes somebody that there is nobody to delete. When the replica dies that works on a request, the proxy says
nothing, which the server below it makes a 500.
"""

from __future__ import annotations

import json
from typing import Any

from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_app.errors import Unavailable

RETRY_AFTER_S = 1


def middlewares() -> list[Middleware]:
    """For ``RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH``: what the proxy puts around itself."""
    return [Middleware(ProxyAnswers)]


class ProxyAnswers:
    """Makes both of them the service's 503; lets everything else through."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answered = False
        held: Message | None = None

        async def judged(message: Message) -> None:
            nonlocal answered, held
            answered = True
            if message["type"] == "http.response.start" and message["status"] == 404:
                held = message
                return
            start, held = held, None
            if start is not None and _knows_no_application(start, message):
                answer = _unavailable("The service is starting: send the request again.")
                await answer(scope, receive, send)
                return
            if start is not None:
                await send(start)
            await send(message)

        await self._app(scope, receive, judged)
        if not answered:  # or the client has gone, and this goes nowhere
            lost = "The replica that worked on the request was lost. What the request was to change is changed or not."
            await _unavailable(lost, outcome="unknown")(scope, receive, send)


def _knows_no_application(start: Message, body: Message) -> bool:
    plain = any(name.lower() == b"content-type" and value.startswith(b"text/plain") for name, value in start["headers"])
    return plain and bytes(body.get("body", b"")).endswith(b"/-/routes for available routes.")


def _unavailable(message: str, **details: Any) -> Response:
    error = Unavailable(message, **details, retry_after_s=RETRY_AFTER_S)
    fields = {"code": error.code, "message": error.message, "details": error.details, "request_id": ""}
    headers = {"Cache-Control": "no-store", "Retry-After": str(RETRY_AFTER_S)}
    return Response(json.dumps({"error": fields}), error.status, headers, media_type="application/json")
