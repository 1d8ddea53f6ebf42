"""Errors of the HTTP layer, and the native error body ``{error: {code, message, details, request_id}}``.

Every ``code`` has one HTTP status. ``invalid_request`` is always 400, whether a handler or the schema found the fault.
422 means a well-formed request with an image whose faces cannot be used. ``/docs`` lists the errors of each path.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from fastapi import Request
from fastapi.responses import Response
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException

from serve_app.api.http_methods import allowed_methods
from serve_app.errors import AuthError, FacegraphError, InvalidRequest, NotFound, Unavailable
from serve_app.known_names import names_at, suggestion
from serve_app.request_context import current

R = TypeVar("R")

logger = logging.getLogger(__name__)

MAX_ECHO = 60
"""Maximum characters of a refused value, or of the name of a field, in an error message."""

MAX_FINDINGS = 20
"""Findings of a refusal that are named; the others are only counted."""


class RequestTooLarge(InvalidRequest):
    """The body is larger than the service accepts in one request."""

    code, status = "request_too_large", 413


class MediaTypeUnsupported(InvalidRequest):
    """This path does not read bodies of this Content-Type."""

    code, status = "media_type_unsupported", 415


class MethodNotAllowed(InvalidRequest):
    """The path does not support this HTTP method; the ``Allow`` header lists the methods that it supports."""

    code, status = "method_not_allowed", 405


class RouteNotFound(NotFound):
    """The path does not exist."""

    code = "route_not_found"


class InternalError(FacegraphError):
    """A fault of the service. Its log has the cause under the request id."""


def internal_error(request: Request, cause: Exception) -> InternalError:
    """The error that the caller gets for an unexpected exception, which is logged in full."""
    logger.error("request %s: %s %s", current().request_id, request.method, request.url.path, exc_info=cause)
    return InternalError("The service failed on this request; its log has the cause under the request id.")


def presentable(request: Request, error: FacegraphError) -> FacegraphError:
    """The error as the caller may see it: faults of the service are logged and replaced by an InternalError."""
    if error.status >= 500 and not isinstance(error, InternalError | Unavailable):
        return internal_error(request, error)
    return error


def row_of(rows: Mapping[type[FacegraphError], R], error: type[FacegraphError]) -> R:
    """The row of the nearest base class of an error in a dialect's table."""
    return next(rows[base] for base in error.__mro__ if base in rows)


def error_response(request: Request, error: FacegraphError) -> Response:
    """The native response to an error."""
    error = presentable(request, error)
    request_id = current().request_id
    fields = {"code": error.code, "message": error.message, "details": error.details, "request_id": request_id}
    text = json.dumps({"error": fields}, default=str, ensure_ascii=False, separators=(",", ":"))
    return Response(
        text.encode("utf-8", "replace"), error.status, error_headers(error, error.status), media_type="application/json"
    )


def error_headers(error: FacegraphError, status: int) -> dict[str, str]:
    """HTTP headers of an error response; the same in every dialect, except for ``WWW-Authenticate``."""
    headers = {"Cache-Control": "no-store"}
    if "retry_after_s" in error.details:
        headers["Retry-After"] = str(max(1, math.ceil(error.details["retry_after_s"])))
    if isinstance(error, AuthError) and status == 401:
        headers["WWW-Authenticate"] = 'ApiKey header="X-API-Key"'
    if isinstance(error, MethodNotAllowed) and error.details.get("allowed"):
        headers["Allow"] = ", ".join(error.details["allowed"])
    return headers


def from_http_exception(request: Request, raised: HTTPException) -> FacegraphError:
    """The error for an exception of the framework: an unknown path or method, or an unreadable form."""
    path, method = request.url.path, request.method
    if raised.status_code == 404:
        return RouteNotFound(f"The path {_echo(path)} does not exist; /docs lists the paths.")
    if raised.status_code == 405:
        allowed = allowed_methods(request)
        return MethodNotAllowed(
            f"{_echo(path)} does not accept {method}; it accepts {', '.join(allowed)}.", allowed=allowed
        )
    if raised.status_code < 500:
        return InvalidRequest(str(raised.detail))
    return internal_error(request, raised)


def from_pydantic(error: ValidationError, model: type[BaseModel]) -> InvalidRequest:
    """The error for a value that ``model`` refuses."""
    return from_validation(error.errors(include_url=False, include_context=False), model)


def from_validation(errors: Sequence[Mapping[str, Any]], model: type[BaseModel] | None = None) -> InvalidRequest:
    """One error for pydantic's findings, which says for each field what was expected and what came.

    With ``model``, unknown fields get the nearest of its names.
    """
    return refusal_of([_finding(error, model) for error in errors[:MAX_FINDINGS]], len(errors))


def refusal_of(findings: Sequence[Mapping[str, str]], count: int) -> InvalidRequest:
    """One error for ``count`` findings, of which the first ones are given, each with ``field`` and ``message``."""
    named = findings[:MAX_FINDINGS]
    text = "; ".join(f"{finding['field']}: {finding['message']}" for finding in named)
    more = f"; and {count - MAX_FINDINGS} more" if count > MAX_FINDINGS else ""
    return InvalidRequest(text + more, errors=named, error_count=count)


OF_LISTS = {"list_type", "too_long", "too_short"}
"""Kinds of pydantic's findings whose words say enough about a list."""

_MESSAGES = {"missing": "is required", "extra_forbidden": "is not a known field"}


def _finding(error: Mapping[str, Any], model: type[BaseModel] | None) -> dict[str, str]:
    parts = [_cut(str(part)) for part in error["loc"]]
    if parts and parts[0] in {"body", "query", "path", "header"}:
        parts = parts[1:]
    kind = error["type"]
    message = _MESSAGES.get(kind) or str(error["msg"]).removeprefix("Value error, ").rstrip(".")
    if kind == "extra_forbidden" and model is not None:
        *section, name = error["loc"]
        message += suggestion(str(name), names_at(model, section))
    given = error.get("input")
    if kind not in _MESSAGES and kind != "json_invalid" and isinstance(given, str | int | float | bool | None):
        message += f", got {_echo(given)}"
    elif isinstance(given, list) and kind not in OF_LISTS:  # a field that a form has several times
        message += f", got {len(given)} values"
    return {"field": _cut(".".join(parts)) or "body", "message": message}


def _echo(value: object) -> str:
    return repr(_cut(value)) if isinstance(value, str) else _cut(json.dumps(value))


def _cut(text: str) -> str:
    return text if len(text) <= MAX_ECHO else text[:MAX_ECHO] + "…"
