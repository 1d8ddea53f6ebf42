"""Enrolment of one person, and of many in one request."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from fastapi import Request
from pydantic import ValidationError

from serve_app.api.api_context import ApiContext
from serve_app.api.dialects.opencv_fr_server import requests
from serve_app.api.dialects.opencv_fr_server.errors import FrServerError, known, status_and_body
from serve_app.api.errors import from_pydantic
from serve_app.api.parsing import parsed
from serve_app.api.request_images import load
from serve_app.domain import Enrolment
from serve_app.errors import FacegraphError, InvalidRequest

WORKERS = 4
"""Persons of one bulk request that are enrolled concurrently: enough to fill batches without filling the queues."""

DONE = "SUCCESS"


async def enroll(
    context: ApiContext, tenant: str, person: requests.FrServerPersonItem, options: requests.EnrolmentOptions
) -> Enrolment:
    """Create or update a person. Raises CollectionNotFound, ImageError, FaceError or DuplicateFace."""
    return await context.service.enroll(
        tenant,
        person.person_id,
        options.collection_name,
        [await load(context, "face_base_64", person.face_base_64)],
        person.fields(),
        liveness=True if options.check_liveness else None,
        image_storage=options.face_storage_type.to_domain(),
        reject=requests.faults(options.check_liveness),
        check_duplicates=options.check_duplicates,
        duplicate_min_score=options.duplicate_check_min_similarity if options.check_duplicates else None,
    )


async def enroll_all(
    request: Request, context: ApiContext, tenant: str, body: requests.UncheckedPersons
) -> list[FrServerError]:
    """Create or update each person separately; returns one result per person, in the order of the request.

    Several entries with the same id are written in their order. With ``check_duplicates`` all entries are, so that each
    person is compared with the previous ones.
    """
    results: dict[int, FrServerError] = {}
    orders: dict[str, list[tuple[int, requests.FrServerPersonItem]]] = {}
    for index, person in enumerate(await parsed(len(await request.body()), _checked, body.persons)):
        if isinstance(person, InvalidRequest):
            results[index] = _failed(person, _id_of(body.persons[index]))
        else:
            orders.setdefault("" if body.check_duplicates else person.person_id, []).append((index, person))
    free = asyncio.Semaphore(WORKERS)

    async def work(order: list[tuple[int, requests.FrServerPersonItem]]) -> None:
        async with free:
            for index, person in order:
                try:
                    enrolment = await enroll(context, tenant, person, body)
                except Exception as error:
                    # An error of one person must not keep the results of the others from the caller.
                    results[index] = _failed(known(request, error), person.person_id)
                else:
                    results[index] = _done(enrolment)

    await asyncio.gather(*(work(order) for order in orders.values()))
    return [results[index] for index in range(len(body.persons))]


def _checked(persons: Sequence[Any]) -> list[requests.FrServerPersonItem | InvalidRequest]:
    return [_person(sent) for sent in persons]


def _person(sent: Any) -> requests.FrServerPersonItem | InvalidRequest:
    try:
        return requests.FrServerPersonItem.model_validate(sent)
    except ValidationError as error:
        return from_pydantic(error, requests.FrServerPersonItem)


def _id_of(sent: Any) -> str | None:
    person_id = sent.get("person_id") if isinstance(sent, dict) else None
    return person_id[:100] if isinstance(person_id, str) else None


def _failed(error: FacegraphError, person_id: str | None) -> FrServerError:
    body = status_and_body(error)[1]
    whose = {} if person_id is None else {"person_id": person_id}
    return FrServerError(code=body.code, message=body.message, metadata={**(body.metadata or {}), **whose})


def _done(enrolment: Enrolment) -> FrServerError:
    what = "created" if enrolment.created else "updated"
    return FrServerError(code=DONE, message=f"The person was {what}.", metadata={"person_id": enrolment.person.id})
