"""``face/analyze``, ``face/getdetail`` and ``face/setuserid``."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request
from fastapi.responses import Response

from serve_app.api.api_context import Context
from serve_app.api.dialects.facepp import requests, responses
from serve_app.api.dialects.facepp.errors import Refused, failures, missing
from serve_app.api.dialects.facepp.parameters import params_docs, read
from serve_app.api.dialects.facepp.requests import EXAMPLE_TOKEN, MAX_TOKENS, tokens_of
from serve_app.api.dialects.facepp.responses import reply
from serve_app.domain import Role

router = APIRouter(prefix="/face")


@router.post(
    "/analyze",
    summary="Face++: landmarks and attributes of faces",
    response_model=responses.FaceppAnalyzeAnswer,
    responses=failures("INVALID_FACE_TOKEN: 0123", "INVALID_FACE_TOKENS_SIZE", "VOID_REQUEST"),
    openapi_extra=params_docs(requests.FaceppAnalyzeParams, {"face_tokens": EXAMPLE_TOKEN, "return_landmark": 1}),
)
async def facepp_analyze(request: Request, context: Context) -> Response:
    """As they were in the registered image. Needs the role `search`."""
    key, params = await read(request, context, requests.FaceppAnalyzeParams, Role.SEARCH)
    if params.return_landmark is None and params.return_attributes is None:
        raise missing("return_landmark", "return_attributes")
    wanted = params.attributes
    if not params.landmark and not wanted:
        raise Refused("VOID_REQUEST")
    tokens = tokens_of(params.face_tokens, MAX_TOKENS)
    faces = await asyncio.gather(*(context.service.matcher.face(key.tenant_id, token) for token in tokens))
    return reply(
        request,
        responses.FaceppAnalyzeAnswer,
        faces=[responses.FaceppFace.of(face, params.landmark, wanted) for face in faces],
    )


@router.post(
    "/getdetail",
    summary="Face++: details of a face",
    response_model=responses.FaceppFaceAnswer,
    responses=failures("INVALID_FACE_TOKEN: 0123"),
    openapi_extra=params_docs(requests.FaceppFaceParams, {"face_token": EXAMPLE_TOKEN}),
)
async def facepp_face_detail(request: Request, context: Context) -> Response:
    """A face and its FaceSets. Needs the role `search`."""
    key, params = await read(request, context, requests.FaceppFaceParams, Role.SEARCH)
    matcher = context.service.matcher
    face = await matcher.face(key.tenant_id, params.face_token)
    collections = await matcher.face_collections(key.tenant_id, params.face_token)
    return reply(
        request,
        responses.FaceppFaceAnswer,
        image_id=responses.image_id_of(face.image_id),
        face_token=face.id,
        user_id=face.user_id or face.person_id or "",
        face_rectangle=responses.FaceppRectangle.of(face.box),
        facesets=[
            responses.FaceppFaceset(**responses.FaceppFaceset.fields_of(collection)) for collection in collections
        ],
    )


@router.post(
    "/setuserid",
    summary="Face++: attach a text to a face",
    response_model=responses.FaceppUserIdAnswer,
    responses=failures("INVALID_FACE_TOKEN: 0123"),
    openapi_extra=params_docs(requests.FaceppUserIdParams, {"face_token": EXAMPLE_TOKEN, "user_id": "234723hgfd"}),
)
async def facepp_set_user_id(request: Request, context: Context) -> Response:
    """Sets the text of a face, in all its FaceSets or before it is in one. A face that was enrolled with a person has
    that person's id, which cannot be changed here. Needs the role `enroll`."""
    key, params = await read(request, context, requests.FaceppUserIdParams, Role.ENROLL)
    face = await context.service.matcher.set_user_id(key.tenant_id, params.face_token, params.user_id)
    return reply(request, responses.FaceppUserIdAnswer, face_token=face.id, user_id=face.user_id)
