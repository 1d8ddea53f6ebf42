"""Errors of the ARGOS dialect: ``{"errorCode": number, "message": text}``.

ARGOS numbers errors per operation, so the same fault has a different code in each operation. Faults that are not in its
tables get the operation's code for "unspecified errors". The status is 400, as published, if the request is at fault.
Other faults keep their HTTP status, so that clients and proxies can tell that a retry makes sense.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fastapi import Request
from fastapi.responses import Response
from pydantic import Field

from serve_app import errors
from serve_app.api import errors as http_errors
from serve_app.api.error_docs import ErrorExample, Responses, error_table
from serve_app.api.errors import error_headers, presentable
from serve_app.api.schemas.base import Answer

MESSAGES: dict[int, str] = {
    6010: "CollectionId is required.",
    6011: "WorkspaceId is required.",
    6012: "Fail to add face",
    6013: "Cannot find collection info.",
    6014: "This collection is unavailable.",
    6015: "Failed to validate liveness of face",
    6016: "Image size is too large.",
    6017: "Unsupported image format.",
    6018: "CollectionId is required.",
    6019: "FaceId is required.",
    6020: "This collection is unavailable.",
    6021: "Cannot find face data",
    6022: "The face Id is not exist.",
    6023: "Fail to delete face.",
    6024: "CollectionId is required.",
    6025: "The term length must be longer than 5",
    6026: "Page number is required.",
    6027: "Cannot find collection info.",
    6028: "This collection is unavailable.",
    6029: "Fail to get Face list.",
    6030: "CollectionId is required.",
    6031: "RequestName is required.",
    6032: "Invalid face image.",
    6033: "Cannot find collection info.",
    6034: "This collection is unavailable.",
    6035: "Failed to validate liveness of face",
    6036: "Image size is too large.",
    6037: "Not supported image format.",
    6038: "Fail to search face",
    6039: "API Key is required.",
    6040: "Access Denied: API Key is unavailable.",
}
"""The published texts, verbatim."""

NEVER = {6011: "There are no workspaces: the API key determines the tenant."}
"""Codes that are never answered, and why."""


class CollectionIdUnknown(errors.NotFound):
    """No collection has this id or name. CollectionNotFound means that it was deleted during the request."""

    code = "collection_not_found"


class FaceElsewhere(errors.NotFound):
    """The face exists, but not in the named collection."""

    code = "face_id_not_found"


@dataclass(frozen=True)
class Operation:
    """Error codes of one operation.

    Attributes:
        fields: parameter -> code if the parameter is missing or malformed.
        faults: error class -> code; the first class that matches an error decides.
        otherwise: code of all other errors.
    """

    fields: Mapping[str, int]
    faults: Mapping[type[errors.FacegraphError], int]
    otherwise: int

    @property
    def codes(self) -> list[int]:
        """All of these codes, sorted."""
        return sorted({*self.fields.values(), *self.faults.values(), self.otherwise})

    def code_of(self, error: errors.FacegraphError) -> int:
        """The code of an error: by the refused parameter, otherwise by the error's class."""
        named = [finding["field"] for finding in error.details.get("errors", ())]
        by_field = [code for name, code in self.fields.items() if name in named]
        by_class = [code for cls, code in self.faults.items() if isinstance(error, cls)]
        return (*by_field, *by_class, self.otherwise)[0]


ADD = Operation(
    fields={"collectionId": 6010},
    faults={
        CollectionIdUnknown: 6013,
        errors.CollectionNotFound: 6014,
        errors.FaceNotLive: 6015,
        errors.ImageTooLarge: 6016,
        http_errors.RequestTooLarge: 6016,
        errors.ImageFormatUnsupported: 6017,
        errors.ImageUndecodable: 6017,
    },
    otherwise=6012,
)
DELETE = Operation(
    fields={"collectionId": 6018, "faceId": 6019},
    faults={
        CollectionIdUnknown: 6020,
        errors.CollectionNotFound: 6020,
        FaceElsewhere: 6021,
        errors.FaceIdNotFound: 6022,
    },
    otherwise=6023,
)
LIST = Operation(
    fields={"collectionId": 6024, "term": 6025, "page": 6026},
    faults={CollectionIdUnknown: 6027, errors.CollectionNotFound: 6028},
    otherwise=6029,
)
SEARCH = Operation(
    fields={"collectionId": 6030, "requestName": 6031, "userName": 6031, "faceImage": 6032},
    faults={
        CollectionIdUnknown: 6033,
        errors.CollectionNotFound: 6034,
        errors.FaceNotLive: 6035,
        errors.ImageTooLarge: 6036,
        http_errors.RequestTooLarge: 6036,
        errors.ImageFormatUnsupported: 6037,
        errors.ImageUndecodable: 6037,
        errors.ImageDimensions: 6032,
        errors.FaceError: 6032,
    },
    otherwise=6038,
)
OPERATIONS = {"add_face": ADD, "delete_face": DELETE, "list_faces": LIST, "search_face": SEARCH}
"""Name of the handler in :mod:`serve_app.api.dialects.argos.routes` -> its operation."""

CODE_HEADER = "X-Error-Code"
"""Header with the native API's error code, because one ARGOS code stands for many faults."""

KEPT_STATUSES = {
    error.status
    for error in (errors.Overloaded, http_errors.InternalError, errors.LivenessUnavailable, errors.StoreUnavailable)
}
"""Statuses of faults that are not the caller's."""


class ArgosErrorAnswer(Answer):
    """The body of every error of this dialect."""

    errorCode: int = Field(description="Stable, for programs to read.", examples=[6033])  # noqa: N815 - the vendor's word
    message: str = Field(examples=[MESSAGES[6033]])


def translate(request: Request, error: errors.FacegraphError) -> Response:
    """The response to an error. The code of an unknown path or method is the HTTP status."""
    error = presentable(request, error)
    operation = OPERATIONS.get(getattr(request.scope.get("endpoint"), "__name__", ""))
    if isinstance(error, errors.AuthError):
        code, status = (6039 if isinstance(error, errors.KeyMissing) else 6040), 403
    elif operation is None or isinstance(error, http_errors.RouteNotFound | http_errors.MethodNotAllowed):
        code, status = error.status, error.status
    else:
        code = operation.code_of(error)
        status = error.status if error.status in KEPT_STATUSES else 400
    headers = {**error_headers(error, status), CODE_HEADER: error.code}
    answer = ArgosErrorAnswer(errorCode=code, message=MESSAGES.get(code, error.message))
    return Response(answer.model_dump_json(), status, headers, media_type="application/json")


def refused(name: str, message: str = "is required") -> errors.InvalidRequest:
    """The error for a parameter that is missing or malformed."""
    return errors.InvalidRequest(f"{name}: {message}", errors=[{"field": name, "message": message}])


def failures(operation: Operation) -> Responses:
    """``responses`` of an operation: its codes, those of keys, and faults that are not the caller's."""
    codes: dict[int, Sequence[int]] = {400: operation.codes, 403: (6039, 6040)}
    return error_table(
        ArgosErrorAnswer,
        (
            ErrorExample(status, str(code), MESSAGES[code], {"errorCode": code, "message": MESSAGES[code]})
            for status in (*codes, *sorted(KEPT_STATUSES))
            for code in codes.get(status, (operation.otherwise,))
        ),
    )
