"""``faceset/*``: FaceSets, which are collections."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from serve_app.api.api_context import ApiContext, Context
from serve_app.api.dialects.facepp import requests, responses
from serve_app.api.dialects.facepp.errors import FACESET_FAILURES, Refused, failures, missing
from serve_app.api.dialects.facepp.identifiers import description_of, faceset, name_of, outer_id_of
from serve_app.api.dialects.facepp.parameters import params_docs, read
from serve_app.api.dialects.facepp.requests import EXAMPLE_TOKEN, MAX_TOKENS, tokens_of
from serve_app.api.dialects.facepp.responses import reply
from serve_app.domain import Collection, NewCollection, Role, UnassignedFacesChange
from serve_app.errors import CollectionExists, CollectionNotEmpty

router = APIRouter(prefix="/faceset")

PAGE = 100

MAX_FACES = 10_000
"""Face++'s limit of faces in a FaceSet; the native API has no such limit."""


@router.post(
    "/create",
    summary="Face++: create a FaceSet",
    response_model=responses.FaceppAdded,
    responses=failures("FACESET_EXIST", "INVALID_FACE_TOKENS_SIZE"),
    openapi_extra=params_docs(requests.FaceppCreateParams, {"outer_id": "staff", "display_name": "Staff"}),
)
async def facepp_create(request: Request, context: Context) -> Response:
    """Creates a FaceSet with up to five faces. Needs the role `admin`."""
    key, params = await read(request, context, requests.FaceppCreateParams, Role.ADMIN)
    matcher, name = context.service.matcher, name_of(params.outer_id)
    tokens = [] if params.face_tokens is None else tokens_of(params.face_tokens, MAX_TOKENS)
    new = NewCollection(
        name,
        title=params.display_name,
        description=description_of(params.outer_id),
        tags=_tags(params.tags),
        user_data=params.user_data,
        policy=context.default_policy,
    )
    try:
        collection, created = await matcher.create_collection(key.tenant_id, new), True
    except CollectionExists:
        if not params.force_merge:
            raise Refused("FACESET_EXIST") from None
        collection, created = await matcher.collection(key.tenant_id, name), False
    try:
        fields = await add(context, key.tenant_id, collection, tokens)
    except Exception:
        if created:  # makes all changes or none
            await matcher.delete_collection(key.tenant_id, name, only_if_empty=True)
        raise
    return reply(request, responses.FaceppAdded, **fields)


@router.post(
    "/addface",
    summary="Face++: add faces to a FaceSet",
    response_model=responses.FaceppAdded,
    responses=failures(*FACESET_FAILURES, "INVALID_FACE_TOKENS_SIZE"),
    openapi_extra=params_docs(requests.AddParams, {"outer_id": "staff", "face_tokens": EXAMPLE_TOKEN}),
)
async def facepp_add_face(request: Request, context: Context) -> Response:
    """Adds up to five faces; those that cannot be added are in `failure_detail`. Needs the role `enroll`."""
    key, params = await read(request, context, requests.AddParams, Role.ENROLL)
    tokens = tokens_of(params.face_tokens, MAX_TOKENS)
    collection = await faceset(context, key.tenant_id, params)
    return reply(request, responses.FaceppAdded, **await add(context, key.tenant_id, collection, tokens))


@router.post(
    "/removeface",
    summary="Face++: remove faces from a FaceSet",
    response_model=responses.FaceppRemoved,
    responses=failures(*FACESET_FAILURES, "INVALID_FACE_TOKENS_SIZE"),
    openapi_extra=params_docs(requests.RemoveParams, {"outer_id": "staff", "face_tokens": "RemoveAllFaceTokens"}),
)
async def facepp_remove_face(request: Request, context: Context) -> Response:
    """Removes faces; those that are in no other FaceSet expire. Needs the role `enroll`."""
    key, params = await read(request, context, requests.RemoveParams, Role.ENROLL)
    tokens = params.tokens()
    collection = await faceset(context, key.tenant_id, params)
    return reply(request, responses.FaceppRemoved, **await remove(context, key.tenant_id, collection, tokens))


@router.post(
    "/getdetail",
    summary="Face++: a FaceSet and its faces",
    response_model=responses.FaceppDetailAnswer,
    responses=failures(*FACESET_FAILURES),
    openapi_extra=params_docs(requests.FaceppDetailParams, {"outer_id": "staff"}),
)
async def facepp_detail(request: Request, context: Context) -> Response:
    """A FaceSet and its faces, in pages of a hundred. Needs the role `search`."""
    key, params = await read(request, context, requests.FaceppDetailParams, Role.SEARCH)
    collection = await faceset(context, key.tenant_id, params)
    page = await context.service.matcher.faces(key.tenant_id, collection.name, limit=PAGE, offset=params.start - 1)
    fields: dict[str, Any] = {
        **responses.FaceppFaceset.fields_of(collection),
        "user_data": collection.user_data,
        "face_count": page.total,
        "face_tokens": [item.face.id for item in page.items],
    }
    if params.start - 1 + len(page.items) < page.total and page.items:
        fields["next"] = str(params.start + len(page.items))
    return reply(request, responses.FaceppDetailAnswer, **fields)


@router.post(
    "/getfacesets",
    summary="Face++: list FaceSets",
    response_model=responses.FaceppListAnswer,
    responses=failures(),
    openapi_extra=params_docs(requests.FaceppListParams, {"tags": "berlin,staff"}),
)
async def facepp_list(request: Request, context: Context) -> Response:
    """All collections of the key's tenant, ordered by name, in pages of a hundred. Needs the role `search`."""
    key, params = await read(request, context, requests.FaceppListParams, Role.SEARCH)
    wanted = set(_tags(params.tags))
    found: list[responses.FaceppFaceset] = []
    number, fields = 0, {}
    async for collection in _collections(context, key.tenant_id):
        if wanted and not wanted & set(collection.tags):
            continue
        number += 1
        if number == params.start + PAGE:
            fields["next"] = str(number)
            break
        if number >= params.start:
            found.append(responses.FaceppFaceset(**responses.FaceppFaceset.fields_of(collection)))
    return reply(request, responses.FaceppListAnswer, facesets=found, **fields)


@router.post(
    "/update",
    summary="Face++: change a FaceSet",
    response_model=responses.FaceppNamed,
    responses=failures(*FACESET_FAILURES, "NEW_OUTER_ID_EXIST"),
    openapi_extra=params_docs(requests.FaceppUpdateParams, {"outer_id": "staff", "display_name": "All staff"}),
)
async def facepp_update(request: Request, context: Context) -> Response:
    """Changes the fields that are sent; an empty text clears a field. Needs the role `admin`."""
    key, params = await read(request, context, requests.FaceppUpdateParams, Role.ADMIN)
    collection = await faceset(context, key.tenant_id, params)
    sent = {"title": params.display_name, "user_data": params.user_data}
    changes: dict[str, Any] = {field: value for field, value in sent.items() if value is not None}
    if params.tags is not None:
        changes["tags"] = _tags(params.tags)
    if params.new_outer_id is not None:
        kept = description_of(params.new_outer_id)
        changes["name"] = name_of(params.new_outer_id)
        if kept or outer_id_of(replace(collection, description="")) != outer_id_of(collection):
            changes["description"] = kept
    if not changes:
        raise missing("new_outer_id", "display_name", "user_data", "tags")
    try:
        changed = await context.service.matcher.update_collection(key.tenant_id, collection.name, changes)
    except CollectionExists:
        raise Refused("NEW_OUTER_ID_EXIST") from None
    return reply(request, responses.FaceppNamed, **_named(changed))


@router.post(
    "/delete",
    summary="Face++: delete a FaceSet",
    response_model=responses.FaceppNamed,
    responses=failures(*FACESET_FAILURES, "FACESET_NOT_EMPTY"),
    openapi_extra=params_docs(requests.FaceppDeleteParams, {"outer_id": "staff", "check_empty": 0}),
)
async def facepp_delete(request: Request, context: Context) -> Response:
    """Deletes the FaceSet. Its faces are not erased at once: those that are in no other FaceSet expire. Persons that
    the native API enrolled only in this collection are erased. Needs the role `admin`."""
    key, params = await read(request, context, requests.FaceppDeleteParams, Role.ADMIN)
    collection = await faceset(context, key.tenant_id, params)
    matcher = context.service.matcher
    only_if_empty = bool(params.check_empty)
    try:
        await matcher.delete_collection(key.tenant_id, collection.name, only_if_empty, keep_faces=True)
    except CollectionNotEmpty:
        raise Refused("FACESET_NOT_EMPTY") from None
    return reply(request, responses.FaceppNamed, **_named(collection))


async def _collections(context: ApiContext, tenant: str) -> AsyncIterator[Collection]:
    cursor = None
    while True:
        page = await context.service.matcher.collections(tenant, "", 1000, cursor)
        for collection in page.items:
            yield collection
        cursor = page.cursor
        if cursor is None:
            return


def _tags(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def _named(collection: Collection) -> dict[str, str]:
    return {"faceset_token": collection.id, "outer_id": outer_id_of(collection)}


async def add(context: ApiContext, tenant: str, collection: Collection, tokens: Sequence[str]) -> dict[str, Any]:
    """Add faces to a FaceSet, if there are any. Returns the fields of the response."""
    change = UnassignedFacesChange(collection, ())
    if tokens:
        change = await context.service.matcher.attach_faces(tenant, collection.name, tokens, limit=MAX_FACES)
    return _changed(change, "face_added")


async def remove(
    context: ApiContext, tenant: str, collection: Collection, tokens: Sequence[str] | None
) -> dict[str, Any]:
    """Remove faces from a FaceSet; None removes all. Returns the fields of the response."""
    return _changed(await context.service.matcher.detach_faces(tenant, collection.name, tokens), "face_removed")


def _changed(change: UnassignedFacesChange, number: str) -> dict[str, Any]:
    failed = [{"face_token": token, "reason": "INVALID_FACE_TOKEN"} for token in change.unknown]
    failed += [{"face_token": token, "reason": "QUOTA_EXCEEDED"} for token in change.refused]
    counts = {number: len(change.changed), "face_count": change.collection.face_count}
    return {**_named(change.collection), **counts, "failure_detail": failed}
