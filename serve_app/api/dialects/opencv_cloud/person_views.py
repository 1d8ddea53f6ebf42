"""Persons and matches for responses, with thumbnails and collections read from the gallery."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np

from serve_app.api.api_context import ApiContext
from serve_app.api.dialects.opencv_cloud import responses
from serve_app.api.dialects.opencv_cloud.requests import MAX_SET, CloudGender
from serve_app.api.dialects.opencv_cloud.responses import to_base64
from serve_app.domain import Face, Match, Person
from serve_app.vision.align import CROP_SIDE
from serve_app.vision.image import encode_jpeg

IMAGES_AT_ONCE = 1000
NO_FACE = "0" * 32
"""Thumbnail id of a person without faces."""


async def persons_of(context: ApiContext, tenant: str, persons: Sequence[Person]) -> list[responses.CloudPerson]:
    """The persons with their thumbnails and collections."""
    collections = await _collections(context, tenant, persons)
    views = await thumbnails(context, tenant, [face for person in persons for face in person.faces[:MAX_SET]])
    return [_person(person, collections, views) for person in persons]


async def person_of(context: ApiContext, tenant: str, person: Person) -> responses.CloudPerson:
    """The person with thumbnails and collections."""
    return (await persons_of(context, tenant, [person]))[0]


async def matches_of(context: ApiContext, tenant: str, matches: Sequence[Match]) -> list[responses.CloudMatch]:
    """The matches that have a person, in their order."""
    found = [(match.person, match.score) for match in matches if match.person is not None]
    views = await persons_of(context, tenant, [person for person, _ in found])
    return [
        responses.CloudMatch(**dict(view), score=score)
        for view, score in zip(views, (s for _, s in found), strict=True)
    ]


async def thumbnails(context: ApiContext, tenant: str, faces: Sequence[Face]) -> dict[str, responses.CloudThumbnail]:
    """Face id -> thumbnail; a grey image if the storage policy kept none."""
    ids = list(dict.fromkeys(face.id for face in faces))
    images: list[bytes | None] = []
    for start in range(0, len(ids), IMAGES_AT_ONCE):
        batch = ids[start : start + IMAGES_AT_ONCE]
        images += await context.service.matcher.face_images(tenant, batch, "thumbnail")
    return {
        id_: responses.CloudThumbnail(id=id_, thumbnail=to_base64(image) if image else placeholder())
        for id_, image in zip(ids, images, strict=True)
    }


async def _collections(
    context: ApiContext, tenant: str, persons: Sequence[Person]
) -> dict[str, responses.CloudCollection]:
    names = {name for person in persons for name in person.collections}
    found = await context.service.matcher.collections_named(tenant, sorted(names)) if names else ()
    return {collection.name: responses.CloudCollection.of(collection) for collection in found}


def _person(
    person: Person, collections: Mapping[str, responses.CloudCollection], views: Mapping[str, responses.CloudThumbnail]
) -> responses.CloudPerson:
    faces = [views[face.id] for face in person.faces[:MAX_SET]]
    return responses.CloudPerson(
        id=person.id,
        name=person.name[:100] or None,
        gender=_gender(person.gender),
        date_of_birth=person.date_of_birth,
        nationality=person.nationality or None,
        notes=person.notes[:500] or None,
        thumbnails=faces or [responses.CloudThumbnail(id=NO_FACE, thumbnail=placeholder())],
        collections=[collections[name] for name in person.collections if name in collections],
        create_date=person.created,
        modified_date=person.modified,
    )


def _gender(text: str) -> CloudGender | None:
    return {"m": CloudGender.M, "male": CloudGender.M, "f": CloudGender.F, "female": CloudGender.F}.get(text.lower())


@cache
def placeholder() -> str:
    """A grey image as base64: the client refuses a person without a decodable thumbnail."""
    return to_base64(encode_jpeg(np.full((CROP_SIDE, CROP_SIDE, 3), 128, np.uint8)))
