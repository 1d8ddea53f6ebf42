"""``/person/image`` and ``/person/images``: the 1 to 3 images of a person."""

from __future__ import annotations

from dataclasses import replace

from fastapi import APIRouter, Request
from fastapi.responses import Response

from serve_app.api.api_context import Context
from serve_app.api.auth import EnrollKey
from serve_app.api.dialects.opencv_cloud import errors, requests
from serve_app.api.dialects.opencv_cloud.person_views import person_of, thumbnails
from serve_app.api.dialects.opencv_cloud.requests import EXAMPLE_PICTURE, pictures, read
from serve_app.api.dialects.opencv_cloud.responses import CloudDeleted, CloudImage, CloudPerson
from serve_app.api.dialects.opencv_cloud.routes.persons import update_of
from serve_app.api.replies import reply, reply_list
from serve_app.api.request_bodies import body_docs
from serve_app.domain import PersonUpdate
from serve_app.errors import NotFound

router = APIRouter()


@router.post(
    "/person/images",
    summary="Add images to a person",
    status_code=201,
    response_model=list[CloudImage],
    responses=errors.error_docs(*errors.PICTURE, NotFound, errors.TOO_MANY_THUMBNAILS),
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
    responses=errors.error_docs(*errors.PICTURE, NotFound, *errors.THUMBNAILS),
    openapi_extra=body_docs(
        requests.CloudPersonAndImages, {"id": "p-17", "new_images": [EXAMPLE_PICTURE], "name": "Ada"}
    ),
)
async def update_images(request: Request, context: Context, key: EnrollKey) -> Response:
    """Removes and adds images and changes other fields; makes all changes or none. Needs the role `enroll`."""
    body = await read(request, requests.CloudPersonAndImages)
    update = await update_of(context, key.tenant_id, body)
    update = replace(update, removed_faces=tuple(body.removed_thumbnail_ids or ()))
    images = await pictures(context, body.new_images)
    changed = await context.service.update_person(key.tenant_id, body.id, update, images)
    return reply(await person_of(context, key.tenant_id, changed.person))


@router.delete(
    "/person/image/{person_id}/{thumbnail_id}",
    summary="Remove an image of a person",
    response_model=CloudDeleted,
    responses=errors.error_docs(NotFound, errors.NO_THUMBNAILS_LEFT),
)
async def delete_image(person_id: str, thumbnail_id: str, context: Context, key: EnrollKey) -> Response:
    """Removes the image, unless it is the person's only one. Needs the role `enroll`."""
    update = PersonUpdate(removed_faces=(thumbnail_id,), min_faces=1)
    await context.service.update_person(key.tenant_id, person_id, update)
    return reply(CloudDeleted(id=thumbnail_id))
