"""What the cloud's routes share: pictures in, lists out, parameters of listings, paths with a slash too many."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response
from fastapi.routing import APIRoute

from serve_app.api.api_context import ApiContext
from serve_app.api.request_images import one_of
from serve_app.api.schemas.base import Answer, Text
from serve_app.domain import PersonOrder
from serve_app.errors import ImageError

TAG = "OpenCV FR cloud"
EXAMPLE_PICTURE = base64.b64encode(binascii.unhexlify("ffd8ffe0")).decode()
EXAMPLE_ID = "5f0c6d7e-8a9b-4c1d-8e2f-3a4b5c6d7e8f"


class CloudOrder(StrEnum):
    """Which way a listing runs."""

    ASC = "ASC"
    DESC = "DESC"


class CloudOrderBy(StrEnum):
    """What a listing of persons is ordered by."""

    NAME = "name"
    DATE_OF_BIRTH = "date_of_birth"
    GENDER = "gender"
    NATIONALITY = "nationality"
    MODIFIED_DATE = "modified_date"
    CREATE_DATE = "create_date"

    def to_domain(self) -> PersonOrder:
        """The domain's word for it."""
        return PersonOrder({"modified_date": "modified", "create_date": "created"}.get(self, str(self)))


Skip = Annotated[int, Query(ge=0, le=10**9, description="How many are left out at the beginning.")]
Take = Annotated[int, Query(ge=0, le=100, description="How many are answered at most.")]
Order = Annotated[CloudOrder, Query(description="Which way.")]
OrderBy = Annotated[CloudOrderBy, Query(description="By what; those without a value come last.")]
SearchText = Annotated[Text | None, Query(max_length=200, description="Keep those whose name or id contains it.")]


async def picture(context: ApiContext, text: str) -> bytes:
    """The picture in a base64 text. Raises ImageError."""
    return await one_of(context, {"image_base64": text})


async def pictures(context: ApiContext, texts: Sequence[str] | None) -> list[bytes]:
    """The pictures of a set. Raises ImageError with ``details["image"]``, the position from 0."""
    found = []
    for index, text in enumerate(texts or ()):
        try:
            found.append(await picture(context, text))
        except ImageError as error:
            raise type(error)(f"Picture {index}: {error.message}", **error.details, image=index) from None
    return found


def with_double_slash(routers: Sequence[APIRouter]) -> APIRouter:
    """The same routes under a second slash: what the client asks for when its base URL ends in one."""
    doubled = APIRouter()
    for router in routers:
        for route in router.routes:
            if isinstance(route, APIRoute):
                doubled.add_api_route(
                    f"/{route.path}", route.endpoint, methods=list(route.methods or ()), include_in_schema=False
                )
    return doubled


def reply_list(answers: Sequence[Answer], status: int = 200) -> Response:
    """The answers as a JSON list; see :func:`serve_app.api.native.common.reply`."""
    content = "[" + ",".join(answer.model_dump_json() for answer in answers) + "]"
    return Response(content, status, {"Cache-Control": "no-store"}, media_type="application/json")
