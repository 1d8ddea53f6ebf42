"""``/person``, with its 1 to 3 images, and ``/persons``."""

from __future__ import annotations

import uuid
from dataclasses import replace

from fastapi import APIRouter, Request
from fastapi.responses import Response

from serve_app.api.api_context import ApiContext, Context
from serve_app.api.auth import EnrollKey
from serve_app.api.dialects.opencv_cloud import requests
from serve_app.api.dialects.opencv_cloud.errors import (
    NO_THUMBNAILS_LEFT,
    PICTURE,
    THUMBNAILS,
    TOO_MANY_THUMBNAILS,
    error_docs,
)
from serve_app.api.dialects.opencv_cloud.identifiers import collection_of, names_of
from serve_app.api.dialects.opencv_cloud.person_views import person_of, persons_of, thumbnails
from serve_app.api.dialects.opencv_cloud.requests import EXAMPLE_PICTURE, pictures, read
from serve_app.api.dialects.opencv_cloud.responses import CloudDeleted, CloudImage, CloudPerson, CloudPersons
from serve_app.api.errors import RequestTooLarge
from serve_app.api.replies import reply, reply_list
from serve_app.api.request_bodies import body_docs
from serve_app.api.schemas.base import Reference
from serve_app.domain import PersonUpdate
from serve_app.errors import Conflict, NotACrop, NotFound

router = APIRouter()

NEW_PERSON = {"images": [EXAMPLE_PICTURE], "id": "p-17", "name": "Ada Lovelace", "date_of_birth": "1815-12-10"}


async def _create(request: Request, context: ApiContext, tenant: str, *, crops: bool) -> Response:
    body = await read(request, requests.CloudNewPerson)
    enrolment = await context.service.enroll_set(
        tenant,
        body.id or str(uuid.uuid4()),
        await pictures(context, body.images),
        await names_of(context, tenant, body.collections),
        body.to_fields(),
        crops=crops,
    )
    return reply(await person_of(context, tenant, enrolment.person), 201)


async def _update(
    context: ApiContext, tenant: str, body: requests.CloudPersonFields, removed_faces: tuple[str, ...] = ()
) -> PersonUpdate:
    collections = None if body.collections is None else await names_of(context, tenant, body.collections)
    return PersonUpdate(
        body.to_fields(), collections, removed_faces=removed_faces, min_faces=1, max_faces=requests.MAX_SET
    )


@router.post(
    "/person/images",
    summary="Add images to a person",
    status_code=201,
    response_model=list[CloudImage],
    responses=error_docs(*PICTURE, NotFound, TOO_MANY_THUMBNAILS),
    openapi_extra=body_docs(requests.CloudNewImages, {"person_id": "p-17", "images": [EXAMPLE_PICTURE]}),
)
async def add_images(request: Request, context: Context, key: EnrollKey) -> Response:
    """Adds images; a person may have three. Needs the role `enroll`."""
    body = await read(request, requests.CloudNewImages)
    images = await pictures(context, body.images)
    update = PersonUpdate(max_faces=requests.MAX_SET)
    added = (await context.service.update_person(key.tenant_id, body.person_id, update, images)).faces
    views = await thumbnails(context, key.tenant_id, added)
    return reply_list(
        [CloudImage(id=face.id, person_id=body.person_id, thumbnail=views[face.id].thumbnail) for face in added], 201
    )


@router.patch(
    "/person/images",
    summary="Change a person and the images",
    response_model=CloudPerson,
    responses=error_docs(*PICTURE, NotFound, *THUMBNAILS),
    openapi_extra=body_docs(
        requests.CloudPersonAndImages, {"id": "p-17", "new_images": [EXAMPLE_PICTURE], "name": "Ada"}
    ),
)
async def update_images(request: Request, context: Context, key: EnrollKey) -> Response:
    """Removes and adds images and changes other fields; makes all changes or none. Needs the role `enroll`."""
    body = await read(request, requests.CloudPersonAndImages)
    removed = tuple(body.removed_thumbnail_ids or ())
    update = await _update(context, key.tenant_id, body, removed_faces=removed)
    images = await pictures(context, body.new_images)
    changed = await context.service.update_person(key.tenant_id, body.id, update, images)
    return reply(await person_of(context, key.tenant_id, changed.person))


@router.delete(
    "/person/image/{person_id}/{thumbnail_id}",
    summary="Remove an image of a person",
    response_model=CloudDeleted,
    responses=error_docs(NotFound, NO_THUMBNAILS_LEFT),
)
async def delete_image(person_id: Reference, thumbnail_id: Reference, context: Context, key: EnrollKey) -> Response:
    """Removes the image, unless it is the person's only one. Needs the role `enroll`."""
    update = PersonUpdate(removed_faces=(thumbnail_id,), min_faces=1)
    await context.service.update_person(key.tenant_id, person_id, update)
    return reply(CloudDeleted(id=thumbnail_id))


@router.post(
    "/person",
    summary="Enrol a person",
    status_code=201,
    response_model=CloudPerson,
    responses=error_docs(*PICTURE, NotFound, Conflict),
    openapi_extra=body_docs(requests.CloudNewPerson, NEW_PERSON),
)
async def create_person(request: Request, context: Context, key: EnrollKey) -> Response:
    """Enrols a person from 1 to 3 images with one main face each, in any number of collections. Needs `enroll`."""
    return await _create(request, context, key.tenant_id, crops=False)


@router.post(
    "/person/crops",
    summary="Enrol a person from face crops",
    status_code=201,
    response_model=CloudPerson,
    responses=error_docs(*PICTURE, NotFound, Conflict, NotACrop),
    openapi_extra=body_docs(requests.CloudNewPerson, NEW_PERSON),
)
async def create_person_from_crops(request: Request, context: Context, key: EnrollKey) -> Response:
    """As `/person`, with thumbnails of `/detect` as images. Needs the role `enroll`."""
    return await _create(request, context, key.tenant_id, crops=True)


@router.patch(
    "/person",
    summary="Change a person",
    response_model=CloudPerson,
    responses=error_docs(*PICTURE, NotFound, *THUMBNAILS),
    openapi_extra=body_docs(requests.CloudPersonChanges, {"id": "p-17", "name": "Augusta Ada King", "notes": None}),
)
async def update_person(request: Request, context: Context, key: EnrollKey) -> Response:
    """Changes the sent fields; null empties. Images and collections replace the stored ones. Needs `enroll`."""
    body = await read(request, requests.CloudPersonChanges)
    update = await _update(context, key.tenant_id, body)
    images = await pictures(context, body.images)
    if images:
        update = replace(update, replace_faces=True)
    changed = await context.service.update_person(key.tenant_id, body.id, update, images)
    return reply(await person_of(context, key.tenant_id, changed.person))


@router.get("/person/{person_id}", summary="One person", response_model=CloudPerson, responses=error_docs(NotFound))
async def get_person(person_id: Reference, context: Context, key: EnrollKey) -> Response:
    """The person with this id. Needs the role `enroll`."""
    person = await context.service.matcher.person(key.tenant_id, person_id)
    return reply(await person_of(context, key.tenant_id, person))


@router.delete(
    "/person/{person_id}", summary="Erase a person", response_model=CloudDeleted, responses=error_docs(NotFound)
)
async def delete_person(person_id: Reference, context: Context, key: EnrollKey) -> Response:
    """Erases the person and all faces from every collection. Needs the role `enroll`."""
    await context.service.matcher.delete_person(key.tenant_id, person_id)
    return reply(CloudDeleted(id=person_id))


@router.get("/persons", summary="List persons", response_model=CloudPersons, responses=error_docs())
async def list_persons(context: Context, key: EnrollKey, listing: requests.PersonListing) -> Response:
    """All persons, including those in no collection. Needs the role `enroll`."""
    return await _list(context, key.tenant_id, None, listing)


@router.get(
    "/persons/{collection_id}",
    summary="List the persons of a collection",
    response_model=CloudPersons,
    responses=error_docs(NotFound),
)
async def list_persons_of_collection(
    collection_id: Reference, context: Context, key: EnrollKey, listing: requests.PersonListing
) -> Response:
    """The persons of the collection. Needs the role `enroll`."""
    collection = (await collection_of(context, key.tenant_id, collection_id)).name
    return await _list(context, key.tenant_id, collection, listing)


async def _list(
    context: ApiContext, tenant: str, collection: str | None, listing: requests.CloudPersonListing
) -> Response:
    order = listing.order_by.to_domain()
    found = await context.service.matcher.persons_slice(
        tenant,
        collection,
        listing.search or "",
        listing.take,
        listing.skip,
        order,
        listing.order is requests.CloudOrder.DESC,
    )
    return reply(CloudPersons(count=found.total, persons=await persons_of(context, tenant, found.items)))


@router.patch(
    "/persons",
    summary="Erase several persons",
    response_model=list[CloudDeleted],
    responses=error_docs(RequestTooLarge, NotFound),
    openapi_extra=body_docs(requests.CloudPersonsAction, {"action": "DELETE", "person_ids": ["p-4", "p-17"]}),
)
async def act_on_persons(request: Request, context: Context, key: EnrollKey) -> Response:
    """Erases all of them, or none if one is unknown. Needs the role `enroll`."""
    body = await read(request, requests.CloudPersonsAction)
    await context.service.matcher.delete_persons(key.tenant_id, body.person_ids)
    return reply_list([CloudDeleted(id=person_id) for person_id in dict.fromkeys(body.person_ids)])
