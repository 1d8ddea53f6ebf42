"""``/collection`` and ``/collections``: collections and their persons."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response

from serve_app.api.api_context import ApiContext, Context
from serve_app.api.auth import AdminKey, EnrollKey, SearchKey
from serve_app.api.dialects.opencv_cloud import identifiers, requests, responses
from serve_app.api.dialects.opencv_cloud.errors import NOT_LIVE, error_docs
from serve_app.api.dialects.opencv_cloud.requests import EXAMPLE_ID, read
from serve_app.api.errors import RequestTooLarge
from serve_app.api.replies import reply, reply_list
from serve_app.api.request_bodies import body_docs
from serve_app.api.schemas.base import Reference
from serve_app.domain import NewCollection
from serve_app.errors import Conflict, NotFound

router = APIRouter()

LINK = {"collection_id": EXAMPLE_ID, "person_id": "p-17"}
LINKS = {"collection_id": EXAMPLE_ID, "new_person_ids": ["p-17"], "removed_person_ids": ["p-4"]}


async def _list(
    context: ApiContext, tenant: str, listing: requests.CloudListing, person_id: str | None = None
) -> Response:
    found = await context.service.matcher.collections_slice(
        tenant, listing.search or "", listing.take, listing.skip, listing.order is requests.CloudOrder.DESC, person_id
    )
    return reply(
        responses.CloudCollections(
            count=found.total, collections=[responses.CloudCollection.of(item) for item in found.items]
        )
    )


@router.post(
    "/collection",
    summary="Create a collection",
    status_code=201,
    response_model=responses.CloudCollection,
    responses=error_docs(RequestTooLarge, Conflict),
    openapi_extra=body_docs(requests.CloudNewCollection, {"name": "Visitors of 2026", "description": "Ground floor"}),
)
async def create_collection(request: Request, context: Context, key: AdminKey) -> Response:
    """Creates an empty collection. Needs the role `admin`."""
    body = await read(request, requests.CloudNewCollection)
    name, title = identifiers.name_and_title(body.name)
    new = NewCollection(name, title, body.description or "", policy=context.default_policy)
    return reply(responses.CloudCollection.of(await context.service.matcher.create_collection(key.tenant_id, new)), 201)


@router.patch(
    "/collection",
    summary="Change a collection",
    response_model=responses.CloudCollection,
    responses=error_docs(RequestTooLarge, NotFound, Conflict),
    openapi_extra=body_docs(requests.CloudCollectionChanges, {"id": EXAMPLE_ID, "name": "Visitors"}),
)
async def update_collection(request: Request, context: Context, key: AdminKey) -> Response:
    """Changes the name and description that are sent; null empties the description. Needs the role `admin`."""
    body = await read(request, requests.CloudCollectionChanges)
    collection = await identifiers.collection_of(context, key.tenant_id, body.id)
    changes: dict[str, str] = {}
    if body.name is not None and body.name != identifiers.shown_name(collection):
        changes["name"], changes["title"] = identifiers.name_and_title(body.name)
    if "description" in body.model_fields_set:
        changes["description"] = body.description or ""
    matcher = context.service.matcher
    return reply(responses.CloudCollection.of(await matcher.update_collection(key.tenant_id, collection.name, changes)))


@router.get(
    "/collection/{collection_id}",
    summary="One collection",
    response_model=responses.CloudCollection,
    responses=error_docs(NotFound),
)
async def get_collection(collection_id: Reference, context: Context, key: SearchKey) -> Response:
    """The collection with this id. Needs the role `search`."""
    return reply(responses.CloudCollection.of(await identifiers.collection_of(context, key.tenant_id, collection_id)))


@router.delete(
    "/collection/{collection_id}",
    summary="Delete a collection",
    response_model=responses.CloudDeleted,
    responses=error_docs(NotFound),
)
async def delete_collection(collection_id: Reference, context: Context, key: AdminKey) -> Response:
    """Deletes the collection and keeps its persons. Needs the role `admin`."""
    collection = await identifiers.collection_of(context, key.tenant_id, collection_id)
    await context.service.matcher.delete_collection(key.tenant_id, collection.name, keep_persons=True)
    return reply(responses.CloudDeleted(id=identifiers.shown_id(collection.id)))


@router.get(
    "/collections", summary="List collections", response_model=responses.CloudCollections, responses=error_docs()
)
async def list_collections(context: Context, key: SearchKey, listing: requests.Listing) -> Response:
    """The collections, ordered by name. Needs the role `search`."""
    return await _list(context, key.tenant_id, listing)


@router.get(
    "/collections/{comma_separated_ids}",
    summary="Several collections",
    response_model=list[responses.CloudCollection],
    responses=error_docs(NotFound),
)
async def get_collections(
    comma_separated_ids: Annotated[str, Path(max_length=10_000)], context: Context, key: SearchKey
) -> Response:
    """The collections with these ids, in the order of the ids. Needs the role `search`."""
    ids = [identifiers.internal_id(part.strip()) for part in comma_separated_ids.split(",")]
    found = await context.service.matcher.collections_by_id(key.tenant_id, ids)
    return reply_list([responses.CloudCollection.of(collection) for collection in found])


@router.get(
    "/collections/person/{person_id}",
    summary="The collections of a person",
    response_model=responses.CloudCollections,
    responses=error_docs(NotFound),
)
async def collections_of_person(
    person_id: Reference, context: Context, key: EnrollKey, listing: requests.Listing
) -> Response:
    """The person's collections, ordered by name. Needs the role `enroll`."""
    return await _list(context, key.tenant_id, listing, person_id)


@router.post(
    "/collection/person",
    summary="Add a person to a collection",
    status_code=201,
    response_model=responses.CloudLinked,
    responses=error_docs(RequestTooLarge, NotFound, NOT_LIVE),
    openapi_extra=body_docs(requests.CloudLink, LINK),
)
async def link(request: Request, context: Context, key: EnrollKey) -> Response:
    """Adds the person, who can be in the collection already. Needs the role `enroll`."""
    body = await read(request, requests.CloudLink)
    collection = await identifiers.collection_of(context, key.tenant_id, body.collection_id)
    await context.service.matcher.link_persons(key.tenant_id, collection.name, add=[body.person_id])
    return reply(
        responses.CloudLinked(collection_id=identifiers.shown_id(collection.id), person_id=body.person_id), 201
    )


@router.patch(
    "/collection/persons",
    summary="Add persons to a collection and remove others",
    response_model=responses.CloudLinkedPersons,
    responses=error_docs(RequestTooLarge, NotFound, NOT_LIVE),
    openapi_extra=body_docs(requests.CloudLinks, LINKS),
)
async def link_several(request: Request, context: Context, key: EnrollKey) -> Response:
    """Makes all changes or none. Removed persons stay enrolled. Needs the role `enroll`."""
    body = await read(request, requests.CloudLinks)
    collection = await identifiers.collection_of(context, key.tenant_id, body.collection_id)
    new, removed = body.new_person_ids or [], body.removed_person_ids or []
    await context.service.matcher.link_persons(key.tenant_id, collection.name, new, removed)
    return reply(
        responses.CloudLinkedPersons(
            collection_id=identifiers.shown_id(collection.id), new_person_ids=new, removed_person_ids=removed
        )
    )


@router.delete(
    "/collection/person/{collection_id}/{person_id}",
    summary="Remove a person from a collection",
    response_model=responses.CloudLinked,
    responses=error_docs(NotFound),
)
async def unlink(collection_id: Reference, person_id: Reference, context: Context, key: EnrollKey) -> Response:
    """Removes the person from the collection; the person stays enrolled. Needs the role `enroll`."""
    collection = await identifiers.collection_of(context, key.tenant_id, collection_id)
    await context.service.matcher.link_persons(key.tenant_id, collection.name, remove=[person_id])
    return reply(responses.CloudLinked(collection_id=identifiers.shown_id(collection.id), person_id=person_id))
