"""Paths of the Face++ dialect, one router per subject."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from serve_app.api.dialects.facepp.errors import CORS
from serve_app.api.dialects.facepp.routes import faces, facesets, pictures, tasks


def _allow_browsers(router: APIRouter) -> None:
    """Answer CORS preflight requests, which browsers send before a request from another page, on each path."""

    async def preflight() -> Response:
        allowed = {"Access-Control-Allow-Methods": "POST, OPTIONS", "Access-Control-Allow-Headers": "*"}
        return Response(status_code=204, headers={**CORS, **allowed, "Access-Control-Max-Age": "86400"})

    # The routes' paths include the router's prefix, and add_api_route adds it again.
    for path in sorted({getattr(route, "path", "").removeprefix(router.prefix) for route in router.routes}):
        router.add_api_route(path, preflight, methods=["OPTIONS"], include_in_schema=False)


routers = (pictures.router, faces.router, facesets.router, tasks.router)
for each in routers:
    _allow_browsers(each)
