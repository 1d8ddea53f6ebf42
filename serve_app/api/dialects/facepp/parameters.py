"""Reading of parameters from a urlencoded or multipart body and from the query string, and authentication.

The whole body is read before a key in it is checked: clients send parameters in any order, and files can come first. A
key in the query string is checked before the body is read.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from fastapi import Request
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from serve_app.api.api_context import ApiContext
from serve_app.api.auth import authenticate
from serve_app.api.dialects.facepp.errors import bad, missing
from serve_app.api.dialects.facepp.requests import FaceppBody
from serve_app.api.multipart import Part
from serve_app.api.parsing import parsed
from serve_app.api.request_bodies import FORM, JSON, body_docs, form_parts, media_type
from serve_app.api.request_guard import limited
from serve_app.api.schemas.base import Upload
from serve_app.api.urlencoded import pairs_of
from serve_app.domain import ApiKey, Role

URLENCODED = "application/x-www-form-urlencoded"

MAX_IMAGE_BYTES = 2 * 2**20
BODY_BYTES_PER_IMAGE = 3 * 2**20
"""An image of 2 MB as base64, with room for percent-encoding and for images slightly above the limit, which then get
the error about the image."""

SLACK = 64 * 2**10
"""Bytes for all other parameters of a body."""


CREDENTIALS = ("api_key", "api_secret")

P = TypeVar("P", bound=FaceppBody)

KEPT_BLANK = frozenset({"display_name", "user_data", "tags", "user_id"})
"""Parameters whose empty text is a value. In the others it counts as left out, as in the empty fields of a form."""


async def read(
    request: Request, context: ApiContext, model: type[P], needed: Role, pictures: int = 0
) -> tuple[ApiKey, P]:
    """Read the parameters and authenticate the request; the number of images in a body determines its maximum size.

    Raises Refused, KeyInvalid, RoleInsufficient, RateLimited or RequestTooLarge.
    """
    request.state.facepp_started = time.perf_counter()
    limit = max(1, pictures) * BODY_BYTES_PER_IMAGE + SLACK
    query = _sent(_first(request.query_params.multi_items()))
    early = await _key_of(query, context, needed) if query.keys() >= set(CREDENTIALS) else None
    sent = query | _sent(await _form(request, limit))
    if early and (others := [name for name in CREDENTIALS if sent[name] != query[name]]):
        raise bad(others[0])
    key = early or await _key_of(sent, context, needed)
    try:
        return key, model.model_validate(sent)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        lacking = [str(item["loc"][0]) for item in found if item["type"] == "missing"]
        raise (missing(*lacking) if lacking else bad(str(found[0]["loc"][0]))) from None


async def _key_of(sent: Mapping[str, Any], context: ApiContext, needed: Role) -> ApiKey:
    absent = [name for name in CREDENTIALS if name not in sent]
    if absent:
        raise missing(*absent)
    key_id, secret = (str(sent[name]) for name in CREDENTIALS)
    return await run_in_threadpool(authenticate, context, secret, needed, key_id)


async def _form(request: Request, limit: int) -> dict[str, Any]:
    declared = request.headers.get("content-length", "").encode()
    body = await Request(request.scope, limited(request.receive, declared, limit)).body()
    return await parsed(len(body), _fields, request, body)


def _fields(request: Request, body: bytes) -> dict[str, Any]:
    if media_type(request) == FORM:
        return _first([(part.name, _value(part)) for part in form_parts(request, body)])
    return _first(pairs_of(body)) if media_type(request) == URLENCODED else {}


def _value(part: Part) -> str | Upload:
    # Some clients also send texts as files.
    return Upload(part.content) if part.name.startswith("image_file") else part.text


def _sent(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value != "" or name in KEPT_BLANK}


def _first(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    return dict(reversed(pairs))


def params_docs(model: type[FaceppBody], example: Mapping[str, Any]) -> dict[str, Any]:
    """``openapi_extra`` of a path that reads ``model``. The query string can contain the same fields."""
    keys = {"api_key": "5f0c6d7e8a9b4c1d8e2f3a4b5c6d7e8f", "api_secret": "fg_..."}
    documented = body_docs(model, {**keys, **example}, form={**keys, **example})
    body = documented["requestBody"]
    body["content"][URLENCODED] = body["content"].pop(JSON)
    body["required"] = False
    return documented
