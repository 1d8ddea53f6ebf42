"""Reading of parameters from a urlencoded or multipart body and from the query string, and authentication.

The whole body is read before the key is checked: clients send parameters in any order, and files can come first.
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
    sent = {**_first(request.query_params.multi_items()), **await _form(request, limit)}
    sent = {name: value for name, value in sent.items() if value != "" or name in KEPT_BLANK}
    credentials = [sent.get(name) for name in ("api_key", "api_secret")]
    absent = [name for name, value in zip(("api_key", "api_secret"), credentials, strict=True) if value is None]
    if absent:
        raise missing(*absent)
    key_id, secret = map(str, credentials)
    key = await run_in_threadpool(authenticate, context, secret, needed, key_id)
    try:
        return key, model.model_validate(sent)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        lacking = [str(item["loc"][0]) for item in found if item["type"] == "missing"]
        raise (missing(*lacking) if lacking else bad(str(found[0]["loc"][0]))) from None


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
