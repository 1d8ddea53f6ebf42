"""The HTTP application: the routes of all dialects over one service.

A plain function creates it, so that it runs the same under Ray Serve, under any ASGI server and in tests::

    app = create_app(lambda: context)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.routing import APIRoute
from fastapi.utils import generate_unique_id
from starlette.exceptions import HTTPException
from starlette.types import Lifespan

from serve_app import __version__
from serve_app.api.api_context import ContextGetter
from serve_app.api.console_files import add_console
from serve_app.api.dialect import Dialect, DialectOf, ErrorTranslation
from serve_app.api.errors import from_http_exception, from_validation
from serve_app.api.http_methods import HeadAsGet, allowed_methods, options
from serve_app.api.native import native_dialect
from serve_app.api.openapi_docs import DocumentedApp, add_docs_page
from serve_app.api.places import Places
from serve_app.api.request_guard import RequestGuard
from serve_app.api.request_limits import Bounds, bounds_of
from serve_app.api.tracing_middleware import TracedRequests
from serve_app.api.unread_bodies import UnreadBodies
from serve_app.errors import FacegraphError
from serve_app.observability import tracing
from serve_app.observability.recent_statistics import RecentStatistics
from serve_app.settings import Settings

DESCRIPTION = """
Face search: enrol people from photographs into collections, search them with a new image, get a calibrated score.

**Keys.** Every path under `/v1` needs the header `X-API-Key`. A key has a role, and each role includes the one before
it:

| role | may |
|---|---|
| `search` | search, detect, compare, verify, liveness, embed; read collections, face images and `/v1/info` |
| `enroll` | read, write and delete persons and faces; unknowns, duplicates, bulk enrolment, tasks; check receipts |
| `admin` | write and delete collections; API keys; the audit log, `/v1/status` and `/v1/embedder` |

Each ingress replica counts a key's `rate_limit` separately.

**Bodies.** Paths that take images read `multipart/form-data` and `application/json` with the same fields. Formats are
JPEG, PNG, WebP and BMP. EXIF orientation is applied; coordinates are pixels of the upright image.

**Scores** lie between 0 and 1. Each 0.05 is one order of magnitude of false-match rate (FMR): 0.70 is one false match
in 10,000 comparisons.

**Errors** are `{"error": {"code", "message", "details", "request_id"}}`. Each code has one status. 400 is always a
malformed request, 422 an image whose faces cannot be used. `X-Request-ID` is taken from the request or generated, and
returned.
"""


def create_app(
    get_context: ContextGetter, dialects: Sequence[Dialect] = (), lifespan: Lifespan[FastAPI] | None = None
) -> FastAPI:
    """Create the application; ``dialects`` are wire formats in addition to the native API.

    ``get_context`` returns the replica's context, for every request; None while the replica starts, answered with 503.
    """
    app = DocumentedApp(
        title="facegraph",
        version=__version__,
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,  # a redirect would lead around a proxy: paths are normalised instead
    )
    app.state.get_context = get_context
    app.state.traffic = RecentStatistics()
    app.state.places = Places()
    native = native_dialect()
    all_dialects = (native, *dialects)
    for dialect in all_dialects:
        tags: list[str | Enum] | None = [dialect.tag] if dialect.tag else None
        ids = _operation_ids(dialect.name)
        for router in dialect.routers:
            app.include_router(router, prefix=dialect.prefix, tags=tags, generate_unique_id_function=ids)
    dialect_of = DialectOf(all_dialects, default=native)
    defaults = bounds_of(Settings())

    def answer(request: Request, error: FacegraphError) -> Response:
        return dialect_of(request).translate(request, error)

    _handle_errors(app, answer)
    add_docs_page(app)
    add_console(app)

    def bounds() -> Bounds:
        context = get_context()
        return context.bounds if context is not None else defaults

    app.add_middleware(
        RequestGuard, bounds=bounds, translate=answer, traffic=app.state.traffic, places=app.state.places
    )
    if tracing.active():
        app.add_middleware(TracedRequests)
    app.add_middleware(UnreadBodies)
    app.add_middleware(HeadAsGet)
    return app


def _operation_ids(dialect: str) -> Callable[[APIRoute], str]:
    """Operation ids with the dialect's name. FastAPI's own are equal for ``/face/search`` and ``/face-search``."""
    return lambda route: f"{dialect}-{generate_unique_id(route)}"


def _handle_errors(app: FastAPI, answer: ErrorTranslation) -> None:
    async def handle(request: Request, raised: Exception) -> Response:
        if isinstance(raised, RequestValidationError):
            raised = from_validation(raised.errors())
        elif isinstance(raised, HTTPException):
            if raised.status_code == 405 and request.method == "OPTIONS":
                return options(allowed_methods(request))
            raised = from_http_exception(request, raised)
        return answer(request, cast(FacegraphError, raised))

    for kind in (FacegraphError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, handle)
