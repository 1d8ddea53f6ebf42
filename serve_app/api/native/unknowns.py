"""``/v1/collections/{name}/unknowns``: clusters of unrecognised faces that searches kept."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response

from serve_app.api.api_context import Context
from serve_app.api.error_docs import BODY_ERRORS, POLICY_ERRORS, error_docs
from serve_app.api.native.access import EnrollKey
from serve_app.api.parameters import Cursor, InPathCollection, Limit
from serve_app.api.replies import reply
from serve_app.api.request_bodies import body_docs, read_body
from serve_app.api.schemas.base import FaceId
from serve_app.api.schemas.persons import EnrolledPerson
from serve_app.api.schemas.privacy import DeletionAnswer
from serve_app.api.schemas.unknowns import MergeUnknownsBody, NameBody, UnknownPage, UnknownView
from serve_app.errors import CollectionNotFound, PersonExists, UnknownNotFound

router = APIRouter(prefix="/v1/collections/{name}/unknowns", tags=["unknowns"])

InPathUnknown = Annotated[FaceId, Path(description="An unknown's id.")]
ERRORS = (CollectionNotFound, UnknownNotFound)


@router.get("", summary="List unknowns", response_model=UnknownPage, responses=error_docs(*ERRORS))
async def list_unknowns(
    name: InPathCollection, context: Context, key: EnrollKey, limit: Limit = 100, cursor: Cursor = None
) -> Response:
    """Unrecognised faces of searches with `keep_unknown`, clustered by similarity. Needs the role `enroll`."""
    page = await context.service.matcher.unknowns(key.tenant_id, name, limit, cursor)
    return reply(UnknownPage(unknowns=page.items, cursor=page.cursor))


@router.delete("", summary="Discard all unknowns", response_model=DeletionAnswer, responses=error_docs(*ERRORS))
async def discard_unknowns(name: InPathCollection, context: Context, key: EnrollKey) -> Response:
    """Erases all faces of the collection's unknowns. Needs the role `enroll`."""
    return reply(DeletionAnswer.of(await context.service.matcher.discard_unknown(key.tenant_id, name)))


@router.get("/{unknown_id}", summary="One unknown", response_model=UnknownView, responses=error_docs(*ERRORS))
async def get_unknown(name: InPathCollection, unknown_id: InPathUnknown, context: Context, key: EnrollKey) -> Response:
    """The kept faces, and when they are erased. Needs the role `enroll`."""
    return reply(UnknownView.of(await context.service.matcher.unknown(key.tenant_id, name, unknown_id)))


@router.delete(
    "/{unknown_id}", summary="Discard an unknown", response_model=DeletionAnswer, responses=error_docs(*ERRORS)
)
async def discard_unknown(
    name: InPathCollection, unknown_id: InPathUnknown, context: Context, key: EnrollKey
) -> Response:
    """Erases the faces of the unknown. Needs the role `enroll`."""
    return reply(DeletionAnswer.of(await context.service.matcher.discard_unknown(key.tenant_id, name, unknown_id)))


@router.post(
    "/{unknown_id}/name",
    summary="Name an unknown",
    response_model=EnrolledPerson,
    responses={
        201: {"model": EnrolledPerson, "description": "The person is new."},
        **error_docs(*BODY_ERRORS, *ERRORS, PersonExists, *POLICY_ERRORS),
    },
    openapi_extra=body_docs(NameBody, {"person_id": "ada", "name": "Ada Lovelace"}),
)
async def name_unknown(
    name: InPathCollection, unknown_id: InPathUnknown, request: Request, context: Context, key: EnrollKey
) -> Response:
    """Enrols the kept faces: as a new person of the collection, or as further faces of an enrolled person.

    The faces no longer expire, and the unknown ceases to exist. Answers 201 if the person is new, otherwise 200. Needs
    the role `enroll`.
    """
    body = await read_body(request, context, NameBody)
    done = await context.service.matcher.name_unknown(
        key.tenant_id, name, unknown_id, body.person_id, body.to_domain(), body.must_be_new
    )
    return reply(EnrolledPerson.after(done), 201 if done.created else 200)


@router.post(
    "/{unknown_id}/merge",
    summary="Merge unknowns",
    response_model=UnknownView,
    responses=error_docs(*BODY_ERRORS, *ERRORS),
    openapi_extra=body_docs(MergeUnknownsBody, {"others": ["9f8e7d6c5b4a39281706f5e4d3c2b1a0"]}),
)
async def merge_unknowns(
    name: InPathCollection, unknown_id: InPathUnknown, request: Request, context: Context, key: EnrollKey
) -> Response:
    """Moves the faces and sightings of the others, who are the same person, to this one. Needs the role `enroll`."""
    body = await read_body(request, context, MergeUnknownsBody)
    merged = await context.service.matcher.merge_unknowns(key.tenant_id, name, unknown_id, body.others)
    return reply(UnknownView.of(merged))
