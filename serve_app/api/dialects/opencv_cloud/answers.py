"""The cloud's answers, as its client needs them: every key present, 1 to 3 thumbnails, 36 characters an id."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
from pydantic import Field

from serve_app.api.api_context import ApiContext
from serve_app.api.dialects.opencv_cloud.bodies import MAX_SET, CloudGender
from serve_app.api.dialects.opencv_cloud.names import shown_id, shown_name
from serve_app.api.schemas.base import Answer
from serve_app.domain import Collection, DetectedFace, Face, ImageInfo, Match, Person
from serve_app.vision.align import CROP_SIDE
from serve_app.vision.image import encode_jpeg

IMAGES_AT_ONCE = 1000
NO_FACE = "0" * 32
"""Id of the thumbnail of a person without any face."""


class CloudCollection(Answer):
    """A collection."""

    id: str = Field(examples=["5f0c6d7e-8a9b-4c1d-8e2f-3a4b5c6d7e8f"])
    name: str
    description: str | None
    count: int = Field(description="Persons in it.")
    create_date: dt.datetime
    modified_date: dt.datetime

    @classmethod
    def of(cls, collection: Collection) -> CloudCollection:
        """From the domain."""
        return cls(
            id=shown_id(collection.id),
            name=shown_name(collection),
            description=collection.description[:100] or None,
            count=collection.person_count,
            create_date=collection.created,
            modified_date=collection.modified,
        )


class CloudCollections(Answer):
    """Part of a listing of collections."""

    count: int = Field(description="How many there are in all.")
    collections: list[CloudCollection]


class CloudDeleted(Answer):
    """What was deleted."""

    id: str


class CloudLinked(Answer):
    """A person and a collection."""

    collection_id: str
    person_id: str


class CloudLinkedPersons(Answer):
    """Who came into a collection and who left it."""

    collection_id: str
    new_person_ids: list[str]
    removed_person_ids: list[str]


class CloudThumbnail(Answer):
    """An enrolled face."""

    id: str
    thumbnail: str = Field(description="The aligned face, 112 x 112 pixels, a JPEG as base64.")


class CloudPerson(Answer):
    """A person."""

    id: str
    name: str | None
    gender: CloudGender | None
    date_of_birth: dt.date | None
    nationality: str | None
    notes: str | None
    thumbnails: list[CloudThumbnail] = Field(min_length=1, max_length=MAX_SET)
    collections: list[CloudCollection]
    create_date: dt.datetime
    modified_date: dt.datetime


class CloudMatch(CloudPerson):
    """A person who was found."""

    score: float


class CloudPersons(Answer):
    """Part of a listing of persons."""

    count: int = Field(description="How many there are in all.")
    persons: list[CloudPerson]


class CloudImage(Answer):
    """A picture that was added."""

    id: str = Field(description="Of the thumbnail.")
    person_id: str
    thumbnail: str


class CloudLiveMatches(Answer):
    """Who is in front of the camera."""

    liveness_score: float
    persons: list[CloudMatch]


class CloudVerified(Answer):
    """The person, if it is they."""

    match: CloudMatch | None


class CloudScore(Answer):
    """How alike two sets are."""

    score: float


class CloudLiveScore(Answer):
    """How alike two sets are, and how live the first one is."""

    score: float
    liveness_score: str = Field(description="A number as a text.", examples=["0.97"])


class CloudLivenessScore(Answer):
    """How live a face is."""

    liveness_score: float


class CloudCount(Answer):
    """How many faces there are."""

    count: int


class CloudBox(Answer):
    """Pixels of the upright picture."""

    left: int
    top: int
    right: int
    bottom: int


Point = list[int]


class CloudLandmarks(Answer):
    """Points x, y; left and right are those of the person shown."""

    left_eye: Point
    right_eye: Point
    nose: Point
    left_mouth: Point
    right_mouth: Point


class CloudFace(Answer):
    """A face that was detected."""

    box: CloudBox
    landmarks: CloudLandmarks
    detection_score: float
    thumbnail: str = Field(description="The face as /search/crops and /person/crops take it.")
    persons: list[CloudMatch]

    @classmethod
    def of(cls, face: DetectedFace, image: ImageInfo, persons: list[CloudMatch]) -> CloudFace:
        """From the domain."""
        box = face.box
        right_eye, left_eye, nose, right_mouth, left_mouth = [[round(float(v)) for v in p] for p in face.landmarks]
        return cls(
            box=CloudBox(
                left=max(0, round(box.x)),
                top=max(0, round(box.y)),
                right=min(image.width, round(box.x + box.width)),
                bottom=min(image.height, round(box.y + box.height)),
            ),
            landmarks=CloudLandmarks(
                left_eye=left_eye, right_eye=right_eye, nose=nose, left_mouth=left_mouth, right_mouth=right_mouth
            ),
            detection_score=min(1.0, face.detection_score),
            thumbnail=to_base64(encode_jpeg(face.crop)),
            persons=persons,
        )


async def persons_of(context: ApiContext, tenant: str, persons: Sequence[Person]) -> list[CloudPerson]:
    """Persons with their thumbnails and collections."""
    collections = await _collections(context, tenant, persons)
    pictures = await thumbnails(context, tenant, [face for person in persons for face in person.faces[:MAX_SET]])
    return [_person(person, collections, pictures) for person in persons]


async def person_of(context: ApiContext, tenant: str, person: Person) -> CloudPerson:
    """One person with thumbnails and collections."""
    return (await persons_of(context, tenant, [person]))[0]


async def matches_of(context: ApiContext, tenant: str, matches: Sequence[Match]) -> list[CloudMatch]:
    """Matches with persons, in their order."""
    found = [(match.person, match.score) for match in matches if match.person is not None]
    views = await persons_of(context, tenant, [person for person, _ in found])
    return [CloudMatch(**dict(view), score=score) for view, score in zip(views, (s for _, s in found), strict=True)]


async def thumbnails(context: ApiContext, tenant: str, faces: Sequence[Face]) -> dict[str, CloudThumbnail]:
    """Face id -> thumbnail; a grey one where the face's storage policy kept none."""
    ids = list(dict.fromkeys(face.id for face in faces))
    images: list[bytes | None] = []
    for start in range(0, len(ids), IMAGES_AT_ONCE):
        batch = ids[start : start + IMAGES_AT_ONCE]
        images += await context.service.matcher.face_images(tenant, batch, "thumbnail")
    return {
        id_: CloudThumbnail(id=id_, thumbnail=to_base64(image) if image else nothing_kept())
        for id_, image in zip(ids, images, strict=True)
    }


async def _collections(context: ApiContext, tenant: str, persons: Sequence[Person]) -> dict[str, CloudCollection]:
    names = {name for person in persons for name in person.collections}
    found = await context.service.matcher.collections_named(tenant, sorted(names)) if names else ()
    return {collection.name: CloudCollection.of(collection) for collection in found}


def _person(
    person: Person, collections: Mapping[str, CloudCollection], pictures: Mapping[str, CloudThumbnail]
) -> CloudPerson:
    faces = [pictures[face.id] for face in person.faces[:MAX_SET]]
    return CloudPerson(
        id=person.id,
        name=person.name[:100] or None,
        gender=_gender(person.gender),
        date_of_birth=person.date_of_birth,
        nationality=person.nationality or None,
        notes=person.notes[:500] or None,
        thumbnails=faces or [CloudThumbnail(id=NO_FACE, thumbnail=nothing_kept())],
        collections=[collections[name] for name in person.collections if name in collections],
        create_date=person.created,
        modified_date=person.modified,
    )


def _gender(text: str) -> CloudGender | None:
    return {"m": CloudGender.M, "male": CloudGender.M, "f": CloudGender.F, "female": CloudGender.F}.get(text.lower())


def to_base64(image: bytes) -> str:
    """A picture as the answers carry it."""
    return base64.b64encode(image).decode()


@cache
def nothing_kept() -> str:
    """A grey picture: the client refuses a person without a thumbnail that it can decode."""
    return to_base64(encode_jpeg(np.full((CROP_SIDE, CROP_SIDE, 3), 128, np.uint8)))
