"""``/v1/collections/{name}/persons`` and the images of enrolled faces."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from serve_app import errors
from serve_app.api.api_context import Context
from serve_app.api.error_docs import BODY_ERRORS, FACE_ERRORS, POLICY_ERRORS, error_docs
from serve_app.api.native.access import EnrollKey, SearchKey
from serve_app.api.parameters import Cursor, Filter, InPathCollection, InPathFace, InPathPerson, Limit
from serve_app.api.replies import reply
from serve_app.api.request_bodies import EXAMPLE_BASE64, EXAMPLE_FILE, body_docs, read_body
from serve_app.api.request_images import picture_type, pictures
from serve_app.api.schemas import persons as schemas
from serve_app.api.schemas.privacy import DeletionAnswer
from serve_app.vision import image_formats

router = APIRouter(tags=["persons"])

PERSONS = "/v1/collections/{name}/persons"
PERSON = PERSONS + "/{person_id}"
NOT_FOUND = (errors.CollectionNotFound, errors.PersonNotFound)
ENROLMENT_ERRORS = (
    *FACE_ERRORS,
    errors.CollectionNotFound,
    errors.TooManyFaces,
    errors.FaceRejected,
    errors.QualityTooLow,
    errors.FaceNotLive,
    errors.DuplicateFace,
)


@router.put(
    PERSON,
    summary="Enrol or change a person",
    response_model=schemas.EnrolledPerson,
    responses={
        201: {"model": schemas.EnrolledPerson, "description": "The person is new."},
        **error_docs(*ENROLMENT_ERRORS, errors.LivenessRequired, errors.PersonExists),
    },
    openapi_extra=body_docs(
        schemas.PersonBody,
        {"name": "Ada Lovelace", "metadata": {"badge": "1843"}, "image_base64": [EXAMPLE_BASE64]},
        form={"image": [EXAMPLE_FILE], "name": "Ada Lovelace", "metadata": '{"badge": "1843"}'},
    ),
)
async def put_person(
    name: InPathCollection, person_id: InPathPerson, request: Request, context: Context, key: EnrollKey
) -> Response:
    """Creates the person, or changes the fields that are sent, and adds the person to the collection. Either all images
    are enrolled or none.

    Answers 201 if the person is new, otherwise 200. Needs the role `enroll`.
    """
    most = context.settings.limits.max_images_per_request
    body = await read_body(request, context, schemas.PersonBody, max_files=most)
    enrolment = await context.service.enroll(
        key.tenant_id,
        person_id,
        name,
        await pictures(context, body),
        body.to_domain(),
        mode=body.mode,
        must_be_new=body.must_be_new,
        **body.enrolment_options(),
    )
    return reply(schemas.EnrolledPerson.after(enrolment), 201 if enrolment.created else 200)


@router.get(
    PERSONS, summary="List persons", response_model=schemas.PersonPage, responses=error_docs(errors.CollectionNotFound)
)
async def list_persons(
    name: InPathCollection, context: Context, key: EnrollKey, limit: Limit = 100, cursor: Cursor = None, q: Filter = ""
) -> Response:
    """The persons of a collection, ordered by id. Needs the role `enroll`."""
    page = await context.service.matcher.persons(key.tenant_id, name, q, limit, cursor)
    return reply(schemas.PersonPage(persons=page.items, cursor=page.cursor))


@router.get(PERSON, summary="One person", response_model=schemas.PersonView, responses=error_docs(*NOT_FOUND))
async def get_person(name: InPathCollection, person_id: InPathPerson, context: Context, key: EnrollKey) -> Response:
    """The person's fields and faces. Needs the role `enroll`."""
    return reply(schemas.PersonView.of(await context.service.matcher.person(key.tenant_id, person_id, name)))


@router.delete(PERSON, summary="Delete a person", response_model=DeletionAnswer, responses=error_docs(*NOT_FOUND))
async def delete_person(name: InPathCollection, person_id: InPathPerson, context: Context, key: EnrollKey) -> Response:
    """Removes the person from the collection, and erases the person if it was the last one. Needs the role `enroll`."""
    return reply(DeletionAnswer.of(await context.service.matcher.delete_person(key.tenant_id, person_id, name)))


@router.post(
    PERSON + "/merge",
    summary="Merge two records of one person",
    response_model=schemas.PersonView,
    responses=error_docs(*BODY_ERRORS, *NOT_FOUND, *POLICY_ERRORS),
    openapi_extra=body_docs(schemas.MergeBody, {"person_id": "ada-king"}),
)
async def merge_persons(
    name: InPathCollection, person_id: InPathPerson, request: Request, context: Context, key: EnrollKey
) -> Response:
    """This person gets the faces and collections of the other record, which is then deleted. Both must be in the
    collection.

    This person's data are kept, and empty fields are filled from the other record. Watch lists and metadata are merged.
    Needs the role `enroll`.
    """
    body = await read_body(request, context, schemas.MergeBody)
    merged = await context.service.matcher.merge_persons(key.tenant_id, person_id, body.person_id, name)
    return reply(schemas.PersonView.of(merged))


@router.post(
    PERSON + "/faces",
    summary="Add faces to a person",
    status_code=201,
    response_model=schemas.AddedFaces,
    responses=error_docs(*ENROLMENT_ERRORS, errors.PersonNotFound),
    openapi_extra=body_docs(schemas.PicturesBody, {"image_base64": [EXAMPLE_BASE64]}, form={"image": [EXAMPLE_FILE]}),
)
async def add_faces(
    name: InPathCollection, person_id: InPathPerson, request: Request, context: Context, key: EnrollKey
) -> Response:
    """Adds one face per image; either all images are enrolled or none. Needs the role `enroll`."""
    most = context.settings.limits.max_images_per_request
    body = await read_body(request, context, schemas.PicturesBody, max_files=most)
    images = await pictures(context, body)
    if not images:
        raise errors.InvalidRequest("At least one image was expected: image, image_base64 or image_url.")
    await context.service.matcher.person(key.tenant_id, person_id, name)
    enrolment = await context.service.enroll(
        key.tenant_id, person_id, name, images, mode="add", **body.enrolment_options()
    )
    return reply(schemas.AddedFaces(person_id=person_id, faces=enrolment.faces), 201)


@router.delete(
    PERSON + "/faces/{face_id}",
    summary="Delete one face of a person",
    response_model=DeletionAnswer,
    responses=error_docs(*NOT_FOUND, errors.FaceIdNotFound),
)
async def delete_face(
    name: InPathCollection, person_id: InPathPerson, face_id: InPathFace, context: Context, key: EnrollKey
) -> Response:
    """Deletes the face. The person is kept, even without faces. Needs the role `enroll`."""
    matcher = context.service.matcher
    await matcher.person(key.tenant_id, person_id, name)
    return reply(DeletionAnswer.of(await matcher.delete_face(key.tenant_id, face_id, person_id)))


@router.get(
    "/v1/faces/{face_id}/image",
    summary="The stored image of a face",
    response_class=Response,
    responses={
        200: {
            "description": "The image.",
            "content": {
                each.media_type: {"schema": {"type": "string", "format": "binary"}} for each in image_formats.READ
            },
        },
        **error_docs(errors.FaceIdNotFound, errors.ImageNotStored),
    },
)
async def face_image(
    face_id: InPathFace,
    context: Context,
    key: SearchKey,
    kind: Annotated[
        Literal["thumbnail", "photograph"],
        Query(description="The aligned face of 112x112 pixels, or the image as it was sent."),
    ] = "thumbnail",
) -> Response:
    """The part of the image that the storage policy kept. Needs the role `search`."""
    content = await context.service.matcher.face_image(key.tenant_id, face_id, kind)
    headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "private, no-store"}
    return Response(content, headers=headers, media_type=picture_type(content))
