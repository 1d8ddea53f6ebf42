"""Errors of the 9thSense dialect: ``{"response": {"error": {code, message, request_id}}}`` with the native statuses.

The vendor publishes no error bodies. So the error is under ``response``, where clients look, and the codes are those of
the native API, except where 9thSense has another name for the thing that the code names.
"""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import Response
from pydantic import Field

from serve_app.api.error_docs import COMMON_ERRORS, EXAMPLE_REQUEST_ID, ErrorExample, Responses, error_table, summary_of
from serve_app.api.errors import error_headers, presentable
from serve_app.api.schemas.base import Answer
from serve_app.errors import CollectionNotFound, FacegraphError, FaceIdNotFound, ImageNotStored
from serve_app.request_context import current

CODES: dict[type[FacegraphError], str] = {
    CollectionNotFound: "index_not_found",
    FaceIdNotFound: "file_not_found",
    ImageNotStored: "file_not_found",
}
"""Codes that differ from the native API's."""


class NinthSenseError(Answer):
    """An error."""

    code: str = Field(description="Stable, for programs to read.", examples=["index_not_found"])
    message: str = Field(description="For people to read: what was expected and what came.")
    request_id: str = Field(description="The request's id, also in the header X-Request-ID and in the log.")


class NinthSenseFailure(Answer):
    """An error under the key `error`."""

    error: NinthSenseError


class NinthSenseErrorAnswer(Answer):
    """The body of every error of this dialect."""

    response: NinthSenseFailure


def translate(request: Request, error: FacegraphError) -> Response:
    """The response to an error."""
    error = presentable(request, error)
    fields = NinthSenseError(code=code_of(type(error)), message=error.message, request_id=current().request_id)
    answer = NinthSenseErrorAnswer(response=NinthSenseFailure(error=fields))
    headers = error_headers(error, error.status)
    if "WWW-Authenticate" in headers:
        headers["WWW-Authenticate"] = 'Basic realm="facegraph"'
    return Response(answer.model_dump_json(), error.status, headers, media_type="application/json")


def code_of(error: type[FacegraphError]) -> str:
    """This dialect's code for an error class."""
    return CODES.get(error, error.code)


def failures(*errors: type[FacegraphError]) -> Responses:
    """``responses`` of a path that may fail with these errors or with those that all paths share."""

    def example(error: type[FacegraphError]) -> ErrorExample:
        code, summary = code_of(error), summary_of(error)
        fields = {"code": code, "message": summary, "request_id": EXAMPLE_REQUEST_ID}
        return ErrorExample(error.status, code, summary, {"response": {"error": fields}})

    return error_table(NinthSenseErrorAnswer, map(example, (*COMMON_ERRORS, *errors)))
