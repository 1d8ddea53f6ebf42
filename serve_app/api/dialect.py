"""API dialects: paths and an error format over the service. The native API is one, each vendor's API another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Request
from fastapi.responses import Response

from serve_app.errors import FacegraphError

ErrorTranslation = Callable[[Request, FacegraphError], Response]


@dataclass(frozen=True)
class Dialect:
    """One wire format over the service.

    Attributes:
        name: as in the setting ``dialects``.
        routers: its paths. Their dependencies do the dialect's authentication, which ends in
            :func:`serve_app.api.auth.authenticate`.
        translate: makes the dialect's error response. It gets every error on the dialect's paths: those of the domain,
            refused parameters (InvalidRequest), and those of :mod:`serve_app.api.errors`.
        prefix: prefix of the paths; "" is the root.
        tag: tag of the paths in the OpenAPI document; None if the routers set their own.
    """

    name: str
    routers: Sequence[APIRouter]
    translate: ErrorTranslation
    prefix: str = ""
    tag: str | None = None


class DialectOf:
    """Finds the dialect of a request: by its handler or, if no path matched, by the path's prefix."""

    def __init__(self, dialects: Sequence[Dialect], default: Dialect) -> None:
        self._by_endpoint = {
            endpoint: dialect
            for dialect in dialects
            for router in dialect.routers
            for route in router.routes
            if (endpoint := getattr(route, "endpoint", None)) is not None
        }
        self._by_prefix = sorted((d for d in dialects if d.prefix), key=lambda d: len(d.prefix), reverse=True)
        self._default = default

    def __call__(self, request: Request) -> Dialect:
        """The dialect of this request."""
        found = self._by_endpoint.get(request.scope.get("endpoint"))
        if found is not None:
            return found
        path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
        return next((d for d in self._by_prefix if path.startswith(d.prefix + "/")), self._default)
