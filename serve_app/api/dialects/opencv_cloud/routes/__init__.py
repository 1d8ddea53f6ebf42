"""Paths of the OpenCV cloud dialect, one router per subject."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter
from fastapi.routing import APIRoute

from serve_app.api.dialects.opencv_cloud.routes import collections, persons, pictures, search


def _with_double_slash(routers: Sequence[APIRouter]) -> APIRouter:
    """The same routes with a second leading slash, which the client sends when its base URL ends in a slash."""
    doubled = APIRouter()
    for router in routers:
        for route in router.routes:
            if isinstance(route, APIRoute):
                doubled.add_api_route(
                    f"/{route.path}", route.endpoint, methods=list(route.methods or ()), include_in_schema=False
                )
    return doubled


_ROUTERS = (pictures.router, collections.router, persons.router, search.router)

routers = (*_ROUTERS, _with_double_slash(_ROUTERS))
