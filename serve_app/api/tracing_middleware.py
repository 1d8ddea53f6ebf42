"""ASGI middleware that records each request as a span. It is the outermost layer, and only used when tracing is on."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_app.api.request_guard import is_watching, request_id_of
from serve_app.observability import tracing


class TracedRequests:
    """Begins a trace for each request, or continues the client's trace if the request has a ``traceparent`` header.

    Spans are named by the method and the route's pattern, because paths contain ids of persons.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] != "http" or is_watching(scope):
            await self._app(scope, receive, send)
            return
        sent = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        method = scope["method"]
        with tracing.request_span(method, sent, request_id_of(scope)) as request_span:

            async def noted_send(message: Message) -> None:
                if message["type"] == "http.response.start" and request_span is not None:
                    route = getattr(scope.get("route"), "path", "")
                    attributes = {"http.request.method": method, "http.route": route}
                    request_span.answered(message["status"], f"{method} {route}".rstrip(), **attributes)
                await send(message)

            await self._app(scope, receive, noted_send)
