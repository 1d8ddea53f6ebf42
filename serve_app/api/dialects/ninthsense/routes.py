"""The four paths of the 9thSense dialect, and its HTTP Basic authentication."""

from __future__ import annotations

import base64
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Security
from fastapi.requests import HTTPConnection
from fastapi.responses import Response
from fastapi.security import HTTPBasic, HTTPBasicCredentials
from starlette.exceptions import HTTPException

from serve_app import errors
from serve_app.api.api_context import ApiContext, Context
from serve_app.api.auth import authenticate, refuse_two_keys
from serve_app.api.dialects.ninthsense import responses
from serve_app.api.dialects.ninthsense.errors import failures
from serve_app.api.dialects.ninthsense.requests import NinthSenseMatchForm, NinthSenseSearchForm
from serve_app.api.error_docs import FACE_ERRORS
from serve_app.api.replies import reply
from serve_app.api.request_bodies import EXAMPLE_BASE64, EXAMPLE_FILE, at_most, form_docs, read_body
from serve_app.api.request_images import load, picture_type
from serve_app.api.schemas.base import Reference
from serve_app.domain import ApiKey, Role, ThresholdRequest
from serve_app.service import refuse_not_live

router = APIRouter()

PAGE = 1000

EXAMPLE_ID = "5f0c6d7e8a9b4c1d8e2f3a4b5c6d7e8f"


class _Basic(HTTPBasic):
    async def __call__(self, request: HTTPConnection) -> HTTPBasicCredentials | None:  # type: ignore[override]
        try:
            sent = await super().__call__(request)
        except HTTPException:
            raise errors.KeyInvalid(
                "The Authorization header is not HTTP Basic with the id and the secret of a key."
            ) from None
        refuse_two_keys(request, sent.password if sent is not None else None)
        return sent


basic = _Basic(
    scheme_name="NinthSenseBasic", description="The key's id as user name, its secret as password.", auto_error=False
)


def _caller(context: Context, sent: Annotated[HTTPBasicCredentials | None, Security(basic)]) -> ApiKey:
    if sent is None or not sent.password:
        raise errors.KeyMissing("This request needs HTTP Basic authentication with the id and the secret of a key.")
    return authenticate(context, sent.password, Role.SEARCH, key_id=sent.username)


Caller = Annotated[ApiKey, Depends(_caller)]


def _example(value: object) -> dict[str, object]:
    return {"content": {"application/json": {"example": {"response": value}}}}


@router.get(
    "/face/index/details",
    summary="Get available databases",
    response_model=responses.NinthSenseIndexes,
    responses={
        200: _example(
            [
                {
                    "id": EXAMPLE_ID,
                    "index_name": "sanctions",
                    "index_type": "EXTERNAL",
                    "record_count": 1204,
                    "title": "Sanctions",
                    "description": "Persons under sanctions",
                }
            ]
        ),
        **failures(),
    },
)
async def index_details(
    context: Context,
    key: Caller,
    action_type: Annotated[Literal["FACE_SEARCH"], Query(description="Purpose of the databases.")] = ("FACE_SEARCH"),
) -> Response:
    """All collections, ordered by name. Send their `id` in `target_index_ids`. Needs a key with the role `search`."""
    matcher = context.service.matcher
    page = await matcher.collections(key.tenant_id, limit=PAGE)
    found = list(page.items)
    while page.cursor is not None:
        page = await matcher.collections(key.tenant_id, limit=PAGE, cursor=page.cursor)
        found += page.items
    return reply(
        responses.NinthSenseIndexes(response=[responses.NinthSenseIndex.of(collection) for collection in found])
    )


@router.post(
    "/face/search",
    summary="Submit face search",
    response_model=responses.NinthSenseMatches,
    responses={
        200: _example(
            [
                {
                    "match_score": 94.2,
                    "distance": 0.058,
                    "match_image_id": EXAMPLE_ID,
                    "name": "John Doe",
                    "dob": "1990-01-15",
                    "nationality": "IN",
                    "gender": "M",
                    "id_no": "A1234567",
                    "address": "1 Example Street",
                    "watch_list": [],
                    "additional_info": "",
                    "index_name": "customers",
                    "index_type": "INTERNAL",
                }
            ]
        ),
        **failures(*FACE_ERRORS, errors.FaceNotLive, errors.CollectionNotFound),
    },
    openapi_extra=form_docs(
        NinthSenseSearchForm,
        {"source_image": EXAMPLE_FILE, "target_index_ids": EXAMPLE_ID, "min_match_score": 70, "max_results": 5},
    ),
)
async def face_search(
    request: Request,
    context: Context,
    key: Caller,
    perform_liveness_check: Annotated[
        bool, Query(description="Whether to run liveness detection on the source image.")
    ] = True,
) -> Response:
    """Searches one database or several for the largest face of the source image; best match first, each person once.

    A face that is not live is the error `face_not_live`, an image without a face the error `face_not_found`. If a
    collection's policy requires liveness, it is checked in any case. Needs a key with the role `search`.
    """
    form = await read_body(request, context, NinthSenseSearchForm, max_files=1)
    at_most("max_results", form.max_results, context.settings.limits.max_results)
    ids = tuple(dict.fromkeys(form.target_index_ids))
    image = await load(context, "source_image", form.source_image)
    searched = await context.service.matcher.collections_by_id(key.tenant_id, ids)
    result = await context.service.search(
        key.tenant_id,
        image,
        [collection.name for collection in searched],
        max_results=form.max_results,
        threshold=ThresholdRequest(min_score=form.min_match_score / 100),
        liveness=perform_liveness_check,
    )
    if not result.faces:
        raise errors.NoFaceDetected("No face was found on source_image.")
    (face,) = result.faces
    refuse_not_live(face.liveness)
    kinds = {collection.name: collection.kind for collection in searched}
    return reply(
        responses.NinthSenseMatches(
            response=[responses.NinthSenseMatch.of(m, kinds[m.collection]) for m in face.matches]
        )
    )


@router.get(
    "/media/file/download/{file_id}",
    summary="Download matched face image",
    response_model=responses.NinthSenseDownload,
    responses={
        200: _example(
            {
                "file_base64": EXAMPLE_BASE64,
                "file_name": "face_image.jpg",
                "file_type": "image/jpeg",
                "file_id": EXAMPLE_ID,
            }
        ),
        **failures(errors.FaceIdNotFound, errors.ImageNotStored),
    },
)
async def download(file_id: Reference, context: Context, key: Caller) -> Response:
    """The image of a `match_image_id` if it was stored, otherwise the aligned face. Needs the role `search`."""
    content = await _stored(context, key.tenant_id, file_id)
    kind = picture_type(content)
    extension = {"image/jpeg": "jpg"}.get(kind, kind.partition("/")[2])
    return reply(
        responses.NinthSenseDownload(
            response=responses.NinthSenseFile(
                file_base64=base64.b64encode(content).decode(),
                file_name=f"face_image.{extension}",
                file_type=kind,
                file_id=file_id,
            )
        )
    )


async def _stored(context: ApiContext, tenant: str, file_id: str) -> bytes:
    matcher = context.service.matcher
    try:
        return await matcher.face_image(tenant, file_id, "photograph")
    except errors.ImageNotStored:
        return await matcher.face_image(tenant, file_id, "thumbnail")


@router.post(
    "/face/match",
    summary="Compare two faces",
    response_model=responses.NinthSenseComparison,
    responses={
        200: _example({"confidence": 0.97, "match_result": "matched", "similarity_score": "97.4"}),
        **failures(*FACE_ERRORS),
    },
    openapi_extra=form_docs(NinthSenseMatchForm, {"source_image": EXAMPLE_FILE, "target_image": EXAMPLE_FILE}),
)
async def face_match(request: Request, context: Context, key: Caller) -> Response:
    """Compares the largest faces of two images; a score of 70 or more is a match. Needs the role `search`."""
    form = await read_body(request, context, NinthSenseMatchForm, max_files=2)
    source = await load(context, "source_image", form.source_image)
    target = await load(context, "target_image", form.target_image)
    comparison = await context.service.compare(source, target)
    return reply(responses.NinthSenseComparison(response=responses.NinthSenseVerdict.of(comparison)))
