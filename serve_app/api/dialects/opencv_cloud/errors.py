"""Errors of the OpenCV cloud dialect: ``{code, message}``; a request that the schema refuses gets FastAPI's 422 with
``detail``.

The vendor publishes the codes without statuses; the statuses are ours. Its client accepts any status except 422.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NamedTuple

from fastapi import Request
from fastapi.responses import Response
from pydantic import Field

from serve_app import errors
from serve_app.api.error_docs import ErrorExample, Responses, error_table
from serve_app.api.errors import InternalError, MethodNotAllowed, RequestTooLarge, error_headers, presentable, row_of
from serve_app.api.schemas.base import Answer
from serve_app.domain import QualityCode, Role


class CloudError(Answer):
    """The body of every error except 422."""

    code: str = Field(examples=["ERR_ENTITY_NOT_FOUND"])
    message: str = Field(examples=["There is no person with the id 'p1'."])


class CloudFinding(Answer):
    """One refused field."""

    loc: list[str | int] = Field(description="Position of the field.", examples=[["body", "images"]])
    msg: str
    type: str = Field(examples=["missing"])


class CloudValidationError(Answer):
    """The body of a 422: the refused fields."""

    detail: list[CloudFinding]


class SchemaRefused(errors.InvalidRequest):
    """The body does not match the schema; ``details["detail"]`` has the fields of :class:`CloudFinding`."""

    status = 422


class Row(NamedTuple):
    """One row of the table."""

    status: int
    code: str


NO_THUMBNAILS = Row(400, "ERR_UPDATE_RESULTS_IN_NO_THUMBNAILS")
NO_THUMBNAILS_LEFT = Row(400, "ERR_DELETE_RESULTS_IN_NO_THUMBNAILS")
TOO_MANY_THUMBNAILS = Row(400, "ERR_UPDATE_RESULTS_IN_TOO_MANY_THUMBNAILS")
READ_ONLY = Row(403, "ERR_READ_ONLY_API_KEY")
NOT_LIVE = Row(400, "ERR_INVALID_FACE_FOR_LIVENESS")
REFUSED = 422

ROWS: Mapping[type[errors.FacegraphError], Row] = {
    errors.AuthError: Row(401, "ERR_INVALID_API_KEY"),
    errors.RoleInsufficient: Row(403, "ERR_RESTRICTED_API"),
    errors.RateLimited: Row(429, "ERR_RATE_LIMIT_EXCEEDED"),
    errors.Overloaded: Row(429, "ERR_RATE_LIMIT_EXCEEDED"),
    errors.NotFound: Row(404, "ERR_ENTITY_NOT_FOUND"),
    errors.Conflict: Row(409, "ERR_DUPLICATE_ENTITY"),
    errors.FaceCountRefused: TOO_MANY_THUMBNAILS,
    errors.NoFaceDetected: Row(400, "ERR_NO_FACES_FOUND"),
    errors.TooManyFaces: Row(400, "ERR_MULTIPLE_FACES"),
    errors.FaceRejected: NOT_LIVE,
    errors.QualityTooLow: Row(400, "ERR_BLURRY_IMAGE"),  # the vendor's nearest code
    errors.FaceNotLive: NOT_LIVE,
    errors.LivenessRequired: NOT_LIVE,
    errors.NotACrop: Row(400, "ERR_NOT_STANDARD_CROP"),
    errors.ImageError: Row(400, "ERR_IMAGE_COULD_NOT_BE_DECODED"),
    errors.LivenessUnavailable: Row(501, "ERR_RESTRICTED_API"),
    errors.Unavailable: Row(503, "ERR_MAINTENANCE_MODE"),
    # The following rows are ours: the vendor has no code for these errors.
    RequestTooLarge: Row(413, "ERR_REQUEST_TOO_LARGE"),
    MethodNotAllowed: Row(405, "ERR_METHOD_NOT_ALLOWED"),
    errors.FacegraphError: Row(500, "ERR_INTERNAL_ERROR"),
}
"""A class that is missing here has the row of its nearest base class."""

QUALITY_CODES: Mapping[QualityCode, str] = {
    QualityCode.FACE_TOO_SMALL: "ERR_FACE_TOO_SMALL",
    QualityCode.FACE_TOO_CLOSE: "ERR_FACE_TOO_CLOSE",  # before the faults that it causes
    QualityCode.FACE_CROPPED: "ERR_FACE_CROPPED",
    QualityCode.FACE_CLOSE_TO_BORDER: "ERR_FACE_EDGES_NOT_VISIBLE",
    QualityCode.FACE_ANGLE_TOO_LARGE: "ERR_FACE_ROTATION",
    QualityCode.FACE_IS_OCCLUDED: "ERR_FACE_OCCLUDED",
    QualityCode.FACE_BLURRED: "ERR_BLURRY_IMAGE",
    QualityCode.EYES_CLOSED: "ERR_INVALID_FACE_FOR_LIVENESS",
}
"""Of several faults the first one here is reported, because its cure can cure the others."""


def translate(request: Request, error: errors.FacegraphError) -> Response:
    """The response to an error."""
    error = presentable(request, error)
    if _is_refusal(error):
        refusal = CloudValidationError(detail=_findings(request, error))
        return _answer(refusal, REFUSED, error_headers(error, REFUSED))
    row = _row(request, error)
    headers = error_headers(error, row.status)
    if row.status == 429:
        headers.setdefault("Retry-After", "1")
    return _answer(CloudError(code=row.code, message=error.message), row.status, headers)


def _answer(body: Answer, status: int, headers: dict[str, str]) -> Response:
    content = json.dumps(body.model_dump())  # ASCII: an unpaired surrogate in a message cannot be encoded as UTF-8
    return Response(content, status, headers, media_type="application/json")


def _is_refusal(error: errors.FacegraphError) -> bool:
    return isinstance(error, errors.InvalidRequest) and row_of(ROWS, type(error)) is ROWS[errors.FacegraphError]


def _findings(request: Request, error: errors.FacegraphError) -> list[CloudFinding]:
    if isinstance(error, SchemaRefused):
        return [CloudFinding(**finding) for finding in error.details["detail"]]
    named = error.details.get("errors")
    if not named:
        return [CloudFinding(loc=["body"], msg=error.message, type="value_error")]
    return [
        CloudFinding(
            loc=["path" if finding["field"] in request.path_params else "query", finding["field"]],
            msg=finding["message"],
            type="value_error",
        )
        for finding in named
    ]


def _row(request: Request, error: errors.FacegraphError) -> Row:
    if isinstance(error, errors.FaceCountRefused) and error.details["faces"] < error.details["min_faces"]:
        return NO_THUMBNAILS_LEFT if request.method == "DELETE" else NO_THUMBNAILS
    if isinstance(error, errors.FaceRejected) and error.details["codes"]:
        code = next((code for word, code in QUALITY_CODES.items() if word in error.details["codes"]), NOT_LIVE.code)
        return Row(NOT_LIVE.status, code)
    if isinstance(error, errors.RoleInsufficient) and error.details.get("has") == Role.SEARCH:
        return READ_ONLY
    return row_of(ROWS, type(error))


COMMON = (errors.AuthError, errors.RoleInsufficient, errors.RateLimited, InternalError, errors.Unavailable)
"""Errors of every path."""

PICTURE = (
    RequestTooLarge,
    errors.ImageError,
    errors.NoFaceDetected,
    errors.TooManyFaces,
    errors.FaceRejected,
    errors.QualityTooLow,
    errors.FaceNotLive,
    errors.LivenessUnavailable,
)
THUMBNAILS = (errors.FaceCountRefused, NO_THUMBNAILS)


def error_docs(*kinds: type[errors.FacegraphError] | Row) -> Responses:
    """``responses`` of a path that may fail with these errors or rows, with common ones, or with the schema's 422."""
    rows = [error if isinstance(error, Row) else row_of(ROWS, error) for error in (*COMMON, *kinds)]
    rows.append(READ_ONLY)
    if errors.FaceRejected in kinds:
        rows += [Row(NOT_LIVE.status, code) for code in QUALITY_CODES.values()]
    message = "What was expected and what came."
    table = error_table(
        CloudError,
        (ErrorExample(*row, "", {"code": row.code, "message": message}) for row in dict.fromkeys(rows)),
        separator=" ",
    )
    finding = {"loc": ["body", "images"], "msg": "Field required", "type": "missing"}
    table[REFUSED] = {
        "model": CloudValidationError,
        "description": "The schema refuses the request.",
        "content": {"application/json": {"examples": {"missing": {"value": {"detail": [finding]}}}}},
    }
    return table
