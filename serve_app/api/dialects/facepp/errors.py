"""Errors of the Face++ dialect: a status, and an ``error_message`` that names the offending argument."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from fastapi import Request
from fastapi.responses import PlainTextResponse, Response
from pydantic import Field

from serve_app import errors
from serve_app.api.error_docs import ErrorExample, Responses, error_table
from serve_app.api.errors import MethodNotAllowed, RequestTooLarge, RouteNotFound, error_headers, presentable, row_of
from serve_app.api.schemas.base import Answer
from serve_app.request_context import current

CORS = {"Access-Control-Allow-Origin": "*"}
"""Browsers may send requests from any page: the key is in the body, and there are no cookies."""

TOO_LARGE = "Request Entity Too Large"
DENIED = "AUTHORIZATION_ERROR:Denied by Admin"
BUSY = "CONCURRENCY_LIMIT_EXCEEDED"
INTERNAL = "INTERNAL_ERROR"


class Refused(errors.FacegraphError):
    """A refused request. The message is the ``error_message`` of Face++."""

    code, status = "refused", 400


class DownloadTimedOut(Refused):
    """The download of an image took too long."""

    status = 412


class FaceppError(Answer):
    """The body of every error except 413."""

    time_used: int = Field(description="Milliseconds.")
    error_message: str = Field(examples=["MISSING_ARGUMENTS: api_key"])
    request_id: str


ROWS: Mapping[type[errors.FacegraphError], tuple[int, str]] = {
    errors.KeyInvalid: (401, "AUTHENTICATION_ERROR"),
    errors.RoleInsufficient: (403, DENIED),
    errors.LivenessRequired: (403, DENIED),
    errors.FaceNotLive: (403, DENIED),
    errors.QualityTooLow: (403, DENIED),
    errors.RateLimited: (403, BUSY),
    errors.Overloaded: (403, BUSY),
    RouteNotFound: (404, "API_NOT_FOUND"),
    MethodNotAllowed: (405, "METHOD_NOT_ALLOWED"),
    errors.CollectionNotFound: (400, "INVALID_FACESET_TOKEN"),
    errors.TaskNotFound: (400, "INVALID_TASK_ID"),
    errors.InvalidRequest: (400, "BAD_ARGUMENTS:body"),
    errors.FacegraphError: (500, INTERNAL),
}
"""A class that is missing here has the row of its nearest base class."""


def translate(request: Request, error: errors.FacegraphError) -> Response:
    """The response to an error. For a body that is too large it is plain text."""
    error = presentable(request, error)
    status, message = status_and_message(error)
    headers = {**error_headers(error, status), **CORS}
    headers.pop("WWW-Authenticate", None)  # there is no HTTP authentication here
    if isinstance(error, RequestTooLarge):
        return PlainTextResponse(TOO_LARGE, 413, headers)
    content = {"time_used": time_used(request), "error_message": message, "request_id": facepp_request_id(request)}
    return Response(json.dumps(content), status, headers, media_type="application/json")


def status_and_message(error: errors.FacegraphError) -> tuple[int, str]:
    """Status and ``error_message`` of an error."""
    if isinstance(error, Refused):
        return error.status, error.message
    if isinstance(error, errors.FaceIdNotFound):
        return 400, f"INVALID_FACE_TOKEN: {error.details.get('face_id', '')}"
    return row_of(ROWS, type(error))


def missing(*keys: str) -> Refused:
    """The error for missing arguments."""
    return Refused(f"MISSING_ARGUMENTS: {', '.join(keys)}")


def bad(key: str) -> Refused:
    """The error for a malformed argument."""
    return Refused(f"BAD_ARGUMENTS:{key}")


@contextmanager
def image_errors(param: str, named: bool) -> Iterator[None]:
    """Convert errors about the image in the argument ``param``; with ``named`` also download errors name it."""
    try:
        yield
    except errors.ImageDownloadTimeout:
        raise DownloadTimedOut(f"IMAGE_DOWNLOAD_TIMEOUT: {param}" if named else "IMAGE_DOWNLOAD_TIMEOUT") from None
    except errors.ImageUrlError:
        raise Refused(f"INVALID_IMAGE_URL: {param}" if named else "INVALID_IMAGE_URL") from None
    except errors.ImageDimensions:
        raise Refused(f"INVALID_IMAGE_SIZE:{param}") from None
    except errors.ImageTooLarge as error:
        by_pixels = error.details.keys() & {"max_pixels", "format"}
        raise Refused(f"{'INVALID_IMAGE_SIZE' if by_pixels else 'IMAGE_FILE_TOO_LARGE'}:{param}") from None
    except errors.ImageError:
        raise Refused(f"IMAGE_ERROR_UNSUPPORTED_FORMAT:{param}") from None


def time_used(request: Request) -> int:
    """Milliseconds since the request's parameters were first read."""
    started = getattr(request.state, "facepp_started", None)
    return 0 if started is None else round((time.perf_counter() - started) * 1e3)


def facepp_request_id(request: Request) -> str:
    """``<unix seconds>,<uuid>``. The UUID is the request's id, if that is a UUID."""
    try:
        unique = uuid.UUID(current().request_id)
    except ValueError:
        unique = uuid.uuid4()
    return f"{int(time.time())},{unique}"


COMMON = {
    400: ("MISSING_ARGUMENTS: api_key", "BAD_ARGUMENTS:return_landmark"),
    401: ("AUTHENTICATION_ERROR",),
    403: (DENIED, BUSY),
    500: (INTERNAL,),
}


def failures(*messages: str) -> Responses:
    """``responses`` of a path that may fail with these messages (400 or 412), or with those that all paths share."""
    rows = [(status, message) for status, several in COMMON.items() for message in several]
    rows += [(412 if message.startswith("IMAGE_DOWNLOAD_TIMEOUT") else 400, message) for message in messages]
    request_id = "1469761051,ec285c20-8660-47d3-8b91-5dc2bffa0049"
    examples = (
        ErrorExample(*row, "", {"time_used": 5, "error_message": row[1], "request_id": request_id}) for row in rows
    )
    too_large = {"description": "The body is too large.", "content": {"text/plain": {"example": TOO_LARGE}}}
    return {413: too_large, **error_table(FaceppError, examples)}


PICTURE_FAILURES = (
    "MISSING_ARGUMENTS: image_url, image_file, image_base64",
    "IMAGE_ERROR_UNSUPPORTED_FORMAT:image_file",
    "INVALID_IMAGE_SIZE:image_file",
    "IMAGE_FILE_TOO_LARGE:image_file",
    "INVALID_IMAGE_URL",
    "IMAGE_DOWNLOAD_TIMEOUT",
)
FACESET_FAILURES = (
    "MISSING_ARGUMENTS: faceset_token, outer_id",
    "COEXISTENCE_ARGUMENTS",
    "INVALID_FACESET_TOKEN",
    "INVALID_OUTER_ID",
)
