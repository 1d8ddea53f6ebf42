"""Errors of the FR Server dialect: ``{code, message[, metadata]}``, with the vendor's statuses and texts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from fastapi import Request
from fastapi.responses import Response
from pydantic import Field

from serve_app import errors
from serve_app.api import errors as http_errors
from serve_app.api.error_docs import ErrorExample, Responses, error_table
from serve_app.api.errors import error_headers, internal_error, presentable, row_of
from serve_app.api.schemas.base import Answer
from serve_app.domain import QualityCode


class FrServerError(Answer):
    """The body of every error, and the result of each item of a bulk request."""

    code: str = Field(examples=["ERR_NOT_FOUND"])
    message: str = Field(examples=["The requested entity could not be found."])
    metadata: dict[str, str] | None = Field(None, description="Further facts; left out if there are none.")


@dataclass(frozen=True)
class Row:
    """One row of the table. ``message`` None stands for the error's own message."""

    status: int
    code: str
    message: str | None = None


NO_FACE = Row(400, "ERR_FACE_NOT_DETECTED", "A face could not be detected in the image(s).")
BAD_COLLECTION_NAME = Row(
    400,
    "ERR_INVALID_COLLECTION_NAME",
    "Collection names can only contain alphanumeric characters, underscores, hyphens, and periods.",
)
NO_KEY = Row(401, "ERR_API_KEY_NOT_PRESENT", "The API key is missing from the request.")
BAD_KEY = Row(403, "ERR_API_KEY_NOT_VALID", "The API key is not valid.")
NOT_FOUND = Row(404, "ERR_NOT_FOUND", "The requested entity could not be found.")
EXISTS = Row(409, "ERR_ALREADY_EXISTS", "Another entity already exists with the same ID.")
LIVENESS = Row(
    412, "ERR_LIVENESS_ERROR", "A liveness error occurred. Please check the supplied image and the error metadata."
)
BAD_IMAGE = Row(
    422, "ERR_BASE64_IMAGE_CANNOT_BE_DECODED", "The posted Base64 image(s) could not be decoded as JPEG/PNG bytes."
)
DATABASE = Row(
    503, "ERR_DATABASE_ERROR", "An error occurred while connecting with the database, please retry your request later."
)

# The following rows are ours: the vendor publishes none for these errors.
BAD_REQUEST = Row(400, "ERR_INVALID_REQUEST")
BUSY = Row(429, "ERR_RATE_LIMIT_EXCEEDED")
INTERNAL = Row(500, "ERR_INTERNAL_ERROR", "The service failed on this request.")

ROWS: Mapping[type[errors.FacegraphError], Row] = {
    errors.KeyMissing: NO_KEY,
    errors.KeyInvalid: BAD_KEY,
    errors.RoleInsufficient: BAD_KEY,
    errors.NotFound: NOT_FOUND,
    errors.Conflict: EXISTS,
    errors.NoFaceDetected: NO_FACE,
    errors.ImageDimensions: NO_FACE,
    errors.TooManyFaces: LIVENESS,
    errors.FaceRejected: LIVENESS,
    errors.FaceNotLive: LIVENESS,
    errors.LivenessUnavailable: LIVENESS,
    errors.ImageTooLarge: Row(413, "ERR_REQUEST_TOO_LARGE"),
    errors.ImageError: BAD_IMAGE,
    errors.InvalidRequest: BAD_REQUEST,
    http_errors.RequestTooLarge: Row(413, "ERR_REQUEST_TOO_LARGE"),
    http_errors.MediaTypeUnsupported: Row(415, "ERR_INVALID_REQUEST"),
    http_errors.MethodNotAllowed: Row(405, "ERR_METHOD_NOT_ALLOWED"),
    errors.RateLimited: BUSY,
    errors.Overloaded: BUSY,
    errors.StoreUnavailable: DATABASE,
    errors.Unavailable: Row(503, "ERR_SERVICE_UNAVAILABLE"),
    errors.FacegraphError: INTERNAL,
}
"""A class that is missing here has the row of its nearest base class."""

FIELD_ROWS = {
    "name": BAD_COLLECTION_NAME,
    "face_base_64": BAD_IMAGE,
    "ref_face_base_64": BAD_IMAGE,
    "multi_face_img_base_64": BAD_IMAGE,
}
"""Refused field -> the vendor's row for it."""

LIVENESS_CODES = (
    QualityCode.FACE_TOO_SMALL,
    QualityCode.FACE_TOO_CLOSE,  # before the faults that it causes
    QualityCode.FACE_CROPPED,
    QualityCode.FACE_CLOSE_TO_BORDER,
    QualityCode.FACE_ANGLE_TOO_LARGE,
    QualityCode.FACE_IS_OCCLUDED,
    QualityCode.EYES_CLOSED,
)
"""``metadata.code`` holds one code: the first of these faults, because its cure can cure the others."""


def status_and_body(error: errors.FacegraphError) -> tuple[int, FrServerError]:
    """Status and body of an error."""
    row = _row(error)
    message = error.message if row.message is None else row.message
    return row.status, FrServerError(code=row.code, message=message, metadata=_metadata(error, row) or None)


def known(request: Request, error: Exception) -> errors.FacegraphError:
    """The error if callers may see it; otherwise it is logged and replaced by an InternalError."""
    return presentable(request, error) if isinstance(error, errors.FacegraphError) else internal_error(request, error)


def translate(request: Request, error: errors.FacegraphError) -> Response:
    """The response to an error."""
    error = known(request, error)
    status, body = status_and_body(error)
    content = json.dumps(body.model_dump(exclude_none=True))
    return Response(content, status, error_headers(error, status), media_type="application/json")


def _row(error: errors.FacegraphError) -> Row:
    if type(error) is errors.InvalidRequest:
        rows = {FIELD_ROWS.get(finding["field"], BAD_REQUEST) for finding in error.details.get("errors", ())}
        return rows.pop() if len(rows) == 1 else BAD_REQUEST
    return row_of(ROWS, type(error))


def _metadata(error: errors.FacegraphError, row: Row) -> dict[str, str]:
    if row is LIVENESS:
        return {"code": _liveness_code(error)}
    if isinstance(error, errors.DuplicateFace):
        return {"person_id": error.details["person_id"], "similarity_score": f"{error.details['score']:.4f}"}
    if isinstance(error, errors.RoleInsufficient):
        return {"reason": error.message}
    if row is BAD_REQUEST:
        return {finding["field"]: finding["message"] for finding in error.details.get("errors", ())}
    return {}


def _liveness_code(error: errors.FacegraphError) -> str:
    if isinstance(error, errors.FaceRejected):
        return next((str(code) for code in LIVENESS_CODES if code in error.details["codes"]), "UNKNOWN_ERROR")
    codes: dict[type[errors.FacegraphError], str] = {
        errors.TooManyFaces: "TOO_MANY_FACES",
        errors.FaceNotLive: "FACE_NOT_LIVE",
    }
    return codes.get(type(error), "UNKNOWN_ERROR")


COMMON_ERRORS = (
    errors.InvalidRequest,
    errors.KeyMissing,
    errors.KeyInvalid,
    errors.Overloaded,
    http_errors.InternalError,
    errors.StoreUnavailable,
    errors.Unavailable,
)
"""Errors of every path."""

BODY_ERRORS = (http_errors.RequestTooLarge, http_errors.MediaTypeUnsupported)
PICTURE_ERRORS = (*BODY_ERRORS, errors.NoFaceDetected, errors.ImageUndecodable, errors.ImageTooLarge)
LIVENESS_ERRORS = (*PICTURE_ERRORS, errors.FaceNotLive, errors.FaceRejected)


def error_docs(*kinds: type[errors.FacegraphError] | Row) -> Responses:
    """``responses`` of a path that may fail with these errors or rows, or with the common ones."""

    def example(row: Row) -> ErrorExample:
        message = row.message or "What was expected and what came."
        metadata = {"metadata": {"code": "FACE_NOT_LIVE"}} if row is LIVENESS else {}
        return ErrorExample(row.status, row.code, message, {"code": row.code, "message": message, **metadata})

    rows = (error if isinstance(error, Row) else row_of(ROWS, error) for error in (*COMMON_ERRORS, *kinds))
    return error_table(FrServerError, map(example, dict.fromkeys(rows)))
