"""Error responses in the OpenAPI document: groups of errors that many paths share, and tables for each path."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from pydantic import BaseModel

from serve_app import errors
from serve_app.api.errors import InternalError, MediaTypeUnsupported, RequestTooLarge
from serve_app.api.schemas.base import ErrorEnvelope

Errors = tuple[type[errors.FacegraphError], ...]
EXAMPLE_REQUEST_ID = "f3b1c9d2a7e84f60"

AUTH_ERRORS: Errors = (errors.KeyMissing, errors.KeyInvalid, errors.RoleInsufficient, errors.RateLimited)
COMMON_ERRORS: Errors = (
    errors.InvalidRequest,
    *AUTH_ERRORS,
    errors.Overloaded,
    InternalError,
    errors.Unavailable,
    errors.StoreUnavailable,
    errors.RequestTimeout,
)
"""Errors of every path."""

BODY_ERRORS: Errors = (RequestTooLarge, MediaTypeUnsupported)
PICTURE_ERRORS = (
    *BODY_ERRORS,
    errors.ImageTooLarge,
    errors.ImageFormatUnsupported,
    errors.ImageUndecodable,
    errors.ImageDimensions,
    errors.ImageUrlRefused,
    errors.ImageDownloadFailed,
    errors.ImageDownloadTimeout,
    errors.LivenessUnavailable,
)
FACE_ERRORS = (*PICTURE_ERRORS, errors.NoFaceDetected)
POLICY_ERRORS = (errors.LivenessRequired, errors.FaceNotLive, errors.QualityTooLow)
"""Stored faces that the policy of a collection refuses."""

Responses = dict[int | str, dict[str, Any]]
"""The argument ``responses`` of a path: status -> documentation."""


class ErrorExample(NamedTuple):
    """One error of a path: its status, its code, the meaning of the code (can be empty), and an example body."""

    status: int
    code: str
    meaning: str
    body: Any


def error_table(model: type[BaseModel], examples: Iterable[ErrorExample], separator: str = "\n\n") -> Responses:
    """The ``responses`` of a path: by status, an example body for each code, and a description of all codes.

    ``model`` is the schema of every body; ``separator`` ends each code's part of the description.
    """
    table: Responses = {}
    for status, code, meaning, body in examples:
        new = {"model": model, "description": "", "content": {"application/json": {"examples": {}}}}
        entry = table.setdefault(status, new)
        entry["description"] += f"`{code}`{': ' if meaning else ''}{meaning}{separator}"
        entry["content"]["application/json"]["examples"][code] = {"summary": code, "value": body}
    return table


def summary_of(error: type[errors.FacegraphError]) -> str:
    """The first paragraph of an error's docstring on one line."""
    return " ".join((error.__doc__ or error.code).split("\n\n")[0].split())


def error_docs(*kinds: type[errors.FacegraphError], common: Errors = COMMON_ERRORS) -> Responses:
    """The ``responses`` of a path of the native API that may fail with these errors, and with the common ones."""

    def example(error: type[errors.FacegraphError]) -> ErrorExample:
        code, summary = error.code, summary_of(error)
        fields = {"code": code, "message": summary, "details": {}, "request_id": EXAMPLE_REQUEST_ID}
        return ErrorExample(error.status, code, summary, {"error": fields})

    return error_table(ErrorEnvelope, map(example, (*common, *kinds)))
