"""``/v1/collections``."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from serve_app.api.api_context import Context
from serve_app.api.error_docs import BODY_ERRORS, error_docs
from serve_app.api.native.access import AdminKey, SearchKey
from serve_app.api.parameters import Cursor, Filter, InPathCollection, Limit
from serve_app.api.replies import reply
from serve_app.api.request_bodies import body_docs, read_body
from serve_app.api.schemas.collections import CollectionBody, CollectionChanges, CollectionPage, CollectionView
from serve_app.api.schemas.privacy import DeletionAnswer
from serve_app.errors import CollectionExists, CollectionNotEmpty, CollectionNotFound

router = APIRouter(prefix="/v1/collections", tags=["collections"])


@router.post(
    "",
    summary="Create a collection",
    status_code=201,
    response_model=CollectionView,
    responses=error_docs(*BODY_ERRORS, CollectionExists),
    openapi_extra=body_docs(
        CollectionBody, {"name": "staff", "title": "Everybody with a badge", "policy": {"liveness": True}}
    ),
)
async def create_collection(request: Request, context: Context, key: AdminKey) -> Response:
    """Creates an empty collection. The settings are the defaults of its policy. Needs the role `admin`."""
    body = await read_body(request, context, CollectionBody)
    new = body.to_domain(context.default_policy)
    created = await context.service.matcher.create_collection(key.tenant_id, new)
    return reply(CollectionView.of(created), 201)


@router.get("", summary="List collections", response_model=CollectionPage, responses=error_docs())
async def list_collections(
    context: Context, key: SearchKey, limit: Limit = 100, cursor: Cursor = None, q: Filter = ""
) -> Response:
    """The collections, ordered by name. Needs the role `search`."""
    page = await context.service.matcher.collections(key.tenant_id, q, limit, cursor)
    return reply(CollectionPage(collections=page.items, cursor=page.cursor))


@router.get(
    "/{name}", summary="One collection", response_model=CollectionView, responses=error_docs(CollectionNotFound)
)
async def get_collection(name: InPathCollection, context: Context, key: SearchKey) -> Response:
    """The collection's texts, policy and counts. Needs the role `search`."""
    return reply(CollectionView.of(await context.service.matcher.collection(key.tenant_id, name)))


@router.patch(
    "/{name}",
    summary="Change a collection",
    response_model=CollectionView,
    responses=error_docs(*BODY_ERRORS, CollectionNotFound, CollectionExists),
    openapi_extra=body_docs(CollectionChanges, {"title": "Staff, Berlin", "policy": {"min_score": 0.75}}),
)
async def change_collection(name: InPathCollection, request: Request, context: Context, key: AdminKey) -> Response:
    """Changes the fields that are sent and keeps the others; `name` renames. Needs the role `admin`."""
    body = await read_body(request, context, CollectionChanges)
    matcher = context.service.matcher
    changes = body.plain()
    if body.policy is not None:
        changes["policy"] = body.policy.applied_to((await matcher.collection(key.tenant_id, name)).policy)
    return reply(CollectionView.of(await matcher.update_collection(key.tenant_id, name, changes)))


@router.delete(
    "/{name}",
    summary="Delete a collection",
    response_model=DeletionAnswer,
    responses=error_docs(CollectionNotFound, CollectionNotEmpty),
)
async def delete_collection(
    name: InPathCollection,
    context: Context,
    key: AdminKey,
    only_if_empty: Annotated[bool, Query(description="Answer 409 if the collection has faces.")] = False,
) -> Response:
    """Deletes the collection and erases its persons and faces that are in no other one. Needs the role `admin`."""
    return reply(DeletionAnswer.of(await context.service.matcher.delete_collection(key.tenant_id, name, only_if_empty)))
