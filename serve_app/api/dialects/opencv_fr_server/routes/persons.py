"""``/person`` and ``/persons``."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from serve_app.api.api_context import ApiContext, Context
from serve_app.api.auth import EnrollKey
from serve_app.api.dialects.opencv_fr_server import requests, responses
from serve_app.api.dialects.opencv_fr_server.enrolment import enroll, enroll_all
from serve_app.api.dialects.opencv_fr_server.errors import BODY_ERRORS, LIVENESS_ERRORS, error_docs
from serve_app.api.dialects.opencv_fr_server.requests import EXAMPLE_BASE64
from serve_app.api.dialects.opencv_fr_server.responses import thumbnails
from serve_app.api.parameters import Cursor, InPathPerson
from serve_app.api.replies import reply
from serve_app.api.request_bodies import body_docs, read_body
from serve_app.domain import Person
from serve_app.errors import CollectionNotFound, DuplicateFace, InvalidRequest, PersonNotFound

router = APIRouter()

COLLECTION = {"collection_name": "MyCollection"}
PERSON = {"person_id": "ada", "person_name": "Ada Lovelace", "face_base_64": EXAMPLE_BASE64}
NAMED = Annotated[requests.InCollection, Query(description="The collection's name.")]


@router.put(
    "/person",
    summary="Enrol or update a person",
    response_model=responses.FrServerPerson,
    responses=error_docs(*LIVENESS_ERRORS, CollectionNotFound, DuplicateFace),
    openapi_extra=body_docs(
        requests.FrServerPersonBody,
        {
            **PERSON,
            **COLLECTION,
            "face_storage_type": "StoreThumbnails",
            "check_duplicates": False,
            "duplicate_check_min_similarity": 0.7,
            "check_liveness": False,
            "metadata": {"badge": "1843"},
        },
    ),
)
async def put_person(request: Request, context: Context, key: EnrollKey) -> Response:
    """Creates the person, or replaces the name and face of the person with this id. Needs the role `enroll`."""
    body = await read_body(request, context, requests.FrServerPersonBody)
    person = (await enroll(context, key.tenant_id, body, body)).person
    (shown,) = await _shown(context, key.tenant_id, body.collection_name, person)
    return reply(shown)


@router.put(
    "/persons",
    summary="Enrol or update several persons",
    response_model=responses.FrServerBulkAnswer,
    responses=error_docs(*BODY_ERRORS, CollectionNotFound),
    openapi_extra=body_docs(
        requests.FrServerPersonsBody,
        {**COLLECTION, "face_storage_type": "StoreThumbnails", "persons": [{**PERSON, "metadata": {"badge": "1843"}}]},
    ),
)
async def put_persons(request: Request, context: Context, key: EnrollKey) -> Response:
    """Does `PUT /person` for each person; one that fails does not stop the others. Needs the role `enroll`."""
    most = context.settings.limits.max_persons_per_request
    values = max(1000, most * requests.UncheckedPersons.VALUES_EACH)
    body = await read_body(request, context, requests.UncheckedPersons, most_values=values)
    if len(body.persons) > most:
        raise InvalidRequest(f"persons: at most {most} were expected, got {len(body.persons)}")
    await context.service.matcher.collection(key.tenant_id, body.collection_name)
    results = await enroll_all(request, context, key.tenant_id, body)
    return reply(responses.FrServerBulkAnswer(results))


@router.get(
    "/person/{person_id:path}",
    summary="One person",
    response_model=responses.FrServerPerson,
    responses=error_docs(CollectionNotFound, PersonNotFound),
)
async def get_person(person_id: InPathPerson, collection_name: NAMED, context: Context, key: EnrollKey) -> Response:
    """A person of a collection. Needs the role `enroll`."""
    person = await context.service.matcher.person(key.tenant_id, person_id, collection_name)
    (shown,) = await _shown(context, key.tenant_id, collection_name, person)
    return reply(shown)


@router.get(
    "/persons",
    summary="List persons",
    response_model=responses.FrServerPersons,
    responses=error_docs(CollectionNotFound),
)
async def list_persons(
    collection_name: NAMED,
    context: Context,
    key: EnrollKey,
    limit: Annotated[int, Query(ge=1, le=1000, description="Persons on a page.")] = 100,
    cursor: Cursor = None,
) -> Response:
    """The persons of a collection, ordered by id. Needs the role `enroll`."""
    page = await context.service.matcher.persons(key.tenant_id, collection_name, "", limit, cursor)
    shown = await _shown(context, key.tenant_id, collection_name, *page.items)
    return reply(responses.FrServerPersons(persons=shown, cursor=page.cursor))


@router.delete(
    "/person",
    summary="Delete a person",
    response_model=responses.FrServerPerson,
    responses=error_docs(*BODY_ERRORS, CollectionNotFound, PersonNotFound),
    openapi_extra=body_docs(requests.FrServerDeletePersonBody, {"person_id": "ada", **COLLECTION}),
)
async def delete_person(request: Request, context: Context, key: EnrollKey) -> Response:
    """Removes the person from the collection, and returns the removed person. Needs the role `enroll`."""
    body = await read_body(request, context, requests.FrServerDeletePersonBody)
    matcher = context.service.matcher
    person = await matcher.person(key.tenant_id, body.person_id, body.collection_name)
    (shown,) = await _shown(context, key.tenant_id, body.collection_name, person)
    await matcher.delete_person(key.tenant_id, body.person_id, body.collection_name)
    return reply(shown)


async def _shown(context: ApiContext, tenant: str, collection: str, *persons: Person) -> list[responses.FrServerPerson]:
    newest = [person.faces[-1].id for person in persons if person.faces]  # represents the person
    stored = iter(await thumbnails(context, tenant, newest))
    return [responses.FrServerPerson.of(person, collection, next(stored) if person.faces else "") for person in persons]
