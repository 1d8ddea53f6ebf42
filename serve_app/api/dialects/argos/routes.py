"""The four operations of the ARGOS dialect. The name of a handler selects its table of error codes."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from serve_app import errors
from serve_app.api.api_context import ApiContext, Context
from serve_app.api.auth import EnrollKey, SearchKey
from serve_app.api.dialects.argos import responses
from serve_app.api.dialects.argos.errors import (
    ADD,
    DELETE,
    LIST,
    SEARCH,
    CollectionIdUnknown,
    FaceElsewhere,
    failures,
    refused,
)
from serve_app.api.dialects.argos.requests import ArgosFaceBody, ArgosSearchBody
from serve_app.api.dialects.argos.responses import EXAMPLE_ID
from serve_app.api.replies import reply
from serve_app.api.request_bodies import EXAMPLE_BASE64, body_docs, read_body
from serve_app.api.request_images import load, picture_type
from serve_app.api.schemas.base import Reference
from serve_app.domain import Collection, PersonFields, ThresholdRequest
from serve_app.request_context import current
from serve_app.service import refuse_not_live
from serve_app.vision.image_formats import described

router = APIRouter()

MAX_IMAGE_BYTES = 5 * 2**20
IMAGE_TYPES = frozenset({"image/jpeg", "image/png", "image/bmp"})
MIN_FACE_SIDE = 50
"""Pixels."""

PAGE = 50
MAX_PAGES = 10**9
SHORTEST_TERM = 5

MAX_MATCHES = 100
"""Maximum matches in a response; the vendor publishes no limit."""

EXAMPLE_OPTION = {"option_liveness": True, "liveNess_threshold": 0.5, "liveNessScore": 0.97, "policy_similarity": 0.7}

CollectionIdParameter = Annotated[
    Reference | None, Query(alias="collectionId", description="Required. The collection's id, or its name.")
]


def _example(value: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {"application/json": {"example": value}}}}


@router.post(
    "/search",
    summary="Search face",
    response_model=responses.ArgosSearchAnswer,
    responses={
        **_example(
            {
                "message": "success",
                "searchId": "f3b1c9d2a7e84f60",
                "requestName": "John Doe",
                "option": EXAMPLE_OPTION,
                "faceIdList": [EXAMPLE_ID],
                "result": [{"face_id": EXAMPLE_ID, "user_name": "John Doe", "similarity_score": 0.94}],
            }
        ),
        **failures(SEARCH),
    },
    openapi_extra=body_docs(
        ArgosSearchBody, {"collectionId": EXAMPLE_ID, "requestName": "John Doe", "faceImage": EXAMPLE_BASE64}
    ),
)
async def search_face(request: Request, context: Context, key: SearchKey) -> Response:
    """The faces that match the largest face of the image, best first. Needs a key with the role `search`."""
    body = await read_body(request, context, ArgosSearchBody)
    if not body.collectionId:
        raise refused("collectionId")
    if not (body.requestName or body.userName):
        raise refused("requestName")
    image = await _image(context, body.faceImage)
    collection = await _collection(context, key.tenant_id, body.collectionId)
    result = await context.service.search(
        key.tenant_id,
        image,
        [collection.name],
        max_results=min(MAX_MATCHES, context.settings.limits.max_results),
        threshold=ThresholdRequest(min_score=responses.similarity_of(collection)),
        min_face_side=MIN_FACE_SIDE,
    )
    if not result.faces:
        raise errors.NoFaceDetected("No face was found on faceImage.")
    (face,) = result.faces
    refuse_not_live(face.liveness)
    return reply(
        responses.ArgosSearchAnswer(
            message="success",
            searchId=current().request_id,
            requestName=body.requestName,
            userName=body.userName,
            option=responses.ArgosOption.of(collection, face.liveness.probability if face.liveness else None),
            faceIdList=[match.face.id for match in face.matches],
            result=[responses.ArgosMatch.of(match) for match in face.matches],
        )
    )


@router.post(
    "/faces",
    summary="Add face",
    response_model=responses.ArgosFaceAdded,
    responses={
        **_example(
            {"message": "success", "faceId": EXAMPLE_ID, "metaFaceId": EXAMPLE_ID[::-1], "option": EXAMPLE_OPTION}
        ),
        **failures(ADD),
    },
    openapi_extra=body_docs(
        ArgosFaceBody, {"collectionId": EXAMPLE_ID, "userName": "John Doe", "faceImage": EXAMPLE_BASE64}
    ),
)
async def add_face(request: Request, context: Context, key: EnrollKey) -> Response:
    """Enrols the face as a new person, so that equal names are not merged. Needs a key with the role `enroll`."""
    body = await read_body(request, context, ArgosFaceBody)
    if not body.collectionId:
        raise refused("collectionId")
    if not body.userName:
        raise refused("userName")
    image = await _image(context, body.faceImage)
    collection = await _collection(context, key.tenant_id, body.collectionId)
    enrolment = await context.service.enroll(
        key.tenant_id,
        uuid.uuid4().hex,
        collection.name,
        [image],
        PersonFields(name=body.userName),
        must_be_new=True,
        min_face_side=MIN_FACE_SIDE,
    )
    (face,) = enrolment.faces
    return reply(
        responses.ArgosFaceAdded(
            message="success",
            faceId=face.id,
            metaFaceId=enrolment.person.id,
            option=responses.ArgosOption.of(collection, face.liveness),
        )
    )


@router.get(
    "/faces",
    summary="Get face list",
    response_model=responses.ArgosFaceList,
    responses={
        **_example(
            {
                "message": "success",
                "result": [
                    {
                        "collection_id": EXAMPLE_ID,
                        "face_id": EXAMPLE_ID,
                        "user_name": "John Doe",
                        "create_time": "2026-05-04T09:30:00.000Z",
                        "meta_face_id": EXAMPLE_ID[::-1],
                    }
                ],
                "totalCount": 1,
            }
        ),
        **failures(LIST),
    },
)
async def list_faces(
    context: Context,
    key: EnrollKey,
    collection_id: CollectionIdParameter = None,
    page: Annotated[int | None, Query(ge=1, le=MAX_PAGES, description=f"Required. {PAGE} faces a page.")] = None,
    term: Annotated[
        Reference | None,
        Query(description=f"At least {SHORTEST_TERM} characters: only faces whose name contains this text."),
    ] = None,
) -> Response:
    """A collection's faces, oldest first, in pages of 50. Needs a key with the role `enroll`."""
    if not collection_id:
        raise refused("collectionId")
    if term and len(term) < SHORTEST_TERM:
        raise refused("term", f"at least {SHORTEST_TERM} characters were expected")
    if page is None:
        raise refused("page")
    collection = await _collection(context, key.tenant_id, collection_id)
    found = await context.service.matcher.faces(
        key.tenant_id, collection.name, term or "", limit=PAGE, offset=PAGE * (page - 1)
    )
    faces = [responses.ArgosFace.of(collection, item) for item in found.items]
    return reply(responses.ArgosFaceList(message="success", result=faces, totalCount=found.total))


@router.delete(
    "/faces",
    summary="Delete face",
    response_model=responses.ArgosFaceDeleted,
    responses={**_example({"message": "Success"}), **failures(DELETE)},
)
async def delete_face(
    context: Context,
    key: EnrollKey,
    collection_id: CollectionIdParameter = None,
    face_id: Annotated[Reference | None, Query(alias="faceId", description="Required.")] = None,
) -> Response:
    """Deletes the face, and its person if it is the person's only face. Needs a key with the role `enroll`."""
    if not collection_id:
        raise refused("collectionId")
    if not face_id:
        raise refused("faceId")
    matcher = context.service.matcher
    collection = await _collection(context, key.tenant_id, collection_id)
    try:
        await matcher.delete_face(key.tenant_id, face_id, collection=collection.name, with_person=True)
    except errors.FaceIdNotFound:
        await matcher.face(key.tenant_id, face_id)  # raises FaceIdNotFound, unless the face is in another collection
        raise FaceElsewhere(f"The face {face_id} is not in the collection {collection.name}.") from None
    return reply(responses.ArgosFaceDeleted(message="Success"))


async def _collection(context: ApiContext, tenant: str, id_or_name: str) -> Collection:
    matcher = context.service.matcher
    try:
        (found,) = await matcher.collections_by_id(tenant, (id_or_name,))
        return found
    except errors.CollectionNotFound:
        pass  # it can be a name
    try:
        return await matcher.collection(tenant, id_or_name)
    except errors.CollectionNotFound:
        raise CollectionIdUnknown("No collection has this id or name.") from None


async def _image(context: ApiContext, text: str | None) -> bytes:
    if not text:
        raise refused("faceImage")
    limit = min(MAX_IMAGE_BYTES, context.settings.limits.max_image_bytes)
    content = await load(context, "faceImage", text, limit)
    if picture_type(content) not in IMAGE_TYPES:
        taken = ", ".join(sorted(IMAGE_TYPES))
        raise errors.ImageFormatUnsupported(f"Expected one of {taken} in faceImage; got {described(content)}.")
    return content
