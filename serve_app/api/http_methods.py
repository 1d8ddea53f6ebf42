"""HTTP methods that no route declares: HEAD wherever there is GET, OPTIONS, and the ``Allow`` of a 405."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import Response
from starlette.routing import Match, Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")
"""Methods of this service's routes."""


class HeadAsGet:
    """Serves HEAD as GET without the body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_without_body(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        served = {**scope, "method": "GET"}  # a copy, because the server reads the method from the scope
        await self._app(served, receive, send_without_body)
        scope.update({name: served[name] for name in ("route",) if name in served})


def allowed_methods(request: Request) -> list[str]:
    """The methods that the request's path accepts, for the header ``Allow``."""
    sought = {"type": "http", "path": request.scope["path"], "root_path": request.scope.get("app_root_path", "")}
    found: set[str] = set()
    for route in request.app.routes:
        if route.matches({**sought, "method": ""})[0] is not Match.NONE:
            methods = ("GET",) if isinstance(route, Mount) else METHODS  # files are mounted
            found |= {each for each in methods if route.matches({**sought, "method": each})[0] is Match.FULL}
    return sorted({*found, "OPTIONS"} | ({"HEAD"} if "GET" in found else set()))


def options(allowed: list[str]) -> Response:
    """The response to OPTIONS."""
    return Response(status_code=204, headers={"Allow": ", ".join(allowed)})
