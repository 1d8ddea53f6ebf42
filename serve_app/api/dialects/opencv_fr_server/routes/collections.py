"""``/collection`` and ``/collections``."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from serve_app.api.api_context import Context
from serve_app.api.auth import AdminKey, SearchKey
from serve_app.api.dialects.opencv_fr_server.errors import BAD_COLLECTION_NAME, BODY_ERRORS, error_docs
from serve_app.api.dialects.opencv_fr_server.requests import FrServerCollectionBody, FrServerNewCollectionBody
from serve_app.api.dialects.opencv_fr_server.responses import FrServerCollection, FrServerCollections
from serve_app.api.parameters import Cursor
from serve_app.api.replies import reply
from serve_app.api.request_bodies import body_docs, read_body
from serve_app.domain import NewCollection
from serve_app.errors import CollectionExists, CollectionNotFound

router = APIRouter()

EXAMPLE = {"name": "MyCollection"}


@router.post(
    "/collection",
    summary="Create a collection",
    response_model=FrServerCollection,
    responses=error_docs(BAD_COLLECTION_NAME, *BODY_ERRORS, CollectionExists),
    openapi_extra=body_docs(FrServerNewCollectionBody, EXAMPLE),
)
async def create_collection(request: Request, context: Context, key: AdminKey) -> Response:
    """Creates an empty collection. Needs the role `admin`."""
    body = await read_body(request, context, FrServerNewCollectionBody)
    new = NewCollection(body.name, policy=context.default_policy)
    return reply(FrServerCollection.of(await context.service.matcher.create_collection(key.tenant_id, new)))


@router.delete(
    "/collection",
    summary="Delete a collection",
    response_model=FrServerCollection,
    responses=error_docs(BAD_COLLECTION_NAME, *BODY_ERRORS, CollectionNotFound),
    openapi_extra=body_docs(FrServerCollectionBody, EXAMPLE),
)
async def delete_collection(request: Request, context: Context, key: AdminKey) -> Response:
    """Deletes a collection with its persons, and returns the deleted collection. Needs the role `admin`."""
    body = await read_body(request, context, FrServerCollectionBody)
    matcher = context.service.matcher
    collection = await matcher.collection(key.tenant_id, body.name)
    await matcher.delete_collection(key.tenant_id, body.name)
    return reply(FrServerCollection.of(collection))


@router.get("/collections", summary="List collections", response_model=FrServerCollections, responses=error_docs())
async def list_collections(
    context: Context,
    key: SearchKey,
    limit: Annotated[int, Query(ge=1, le=1000, description="Collections on a page.")] = 100,
    cursor: Cursor = None,
) -> Response:
    """The collections, ordered by name. Needs the role `search`."""
    page = await context.service.matcher.collections(key.tenant_id, "", limit, cursor)
    found = [FrServerCollection.of(collection) for collection in page.items]
    return reply(FrServerCollections(collections=found, cursor=page.cursor))
