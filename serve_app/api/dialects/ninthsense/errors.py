"""Errors in 9thSense's words: ``{"response": {"error": {code, message, request_id}}}`` with HTTP's own statuses.

The vendor publishes no error bodies. So everything stays under ``response``, where a client looks, and the codes are
those of the native API except where they would name things that 9thSense calls otherwise.
"""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import Response
from pydantic import Field

from serve_app.api.error_docs import COMMON_ERRORS, EXAMPLE_REQUEST_ID, ErrorExample, Responses, error_table, summary_of
from serve_app.api.errors import error_headers, presentable
from serve_app.api.schemas.base import Answer
from serve_app.errors import AuthError, CollectionNotFound, FacegraphError, FaceIdNotFound, ImageNotStored
from serve_app.request_context import current

CODES: dict[type[FacegraphError], str] = {
    CollectionNotFound: "index_not_found",
    FaceIdNotFound: "file_not_found",
    ImageNotStored: "file_not_found",
}
"""Where the code differs from the native API's."""


class NinthSenseError(Answer):
    """What went wrong."""

    code: str = Field(description="Stable, for programs.", examples=["index_not_found"])
    message: str = Field(description="For people: what was expected and what came.")
    request_id: str = Field(description="The id of the request, also in the header X-Request-ID and in the log.")


class NinthSenseFailure(Answer):
    """An error under its key."""

    error: NinthSenseError


class NinthSenseErrorAnswer(Answer):
    """Every error of this dialect."""

    response: NinthSenseFailure


def translate(request: Request, error: FacegraphError) -> Response:
    """The error in this dialect's envelope."""
    error = presentable(request, error)
    fields = NinthSenseError(code=code_of(type(error)), message=error.message, request_id=current().request_id)
    answer = NinthSenseErrorAnswer(response=NinthSenseFailure(error=fields))
    headers = error_headers(error)
    if isinstance(error, AuthError) and error.status == 401:
        headers["WWW-Authenticate"] = 'Basic realm="facegraph"'
    return Response(answer.model_dump_json(), error.status, headers, media_type="application/json")


def code_of(error: type[FacegraphError]) -> str:
    """What this dialect calls it."""
    return CODES.get(error, error.code)


def failures(*errors: type[FacegraphError]) -> Responses:
    """``responses`` for a path that may fail in these ways, besides those that every path shares."""

    def example(error: type[FacegraphError]) -> ErrorExample:
        code, summary = code_of(error), summary_of(error)
        fields = {"code": code, "message": summary, "request_id": EXAMPLE_REQUEST_ID}
        return ErrorExample(error.status, code, summary, {"response": {"error": fields}})

    return error_table(NinthSenseErrorAnswer, map(example, (*COMMON_ERRORS, *errors)))
