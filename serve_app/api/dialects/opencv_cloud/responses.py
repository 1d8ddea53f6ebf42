"""The cloud's answers, as its client needs them: every key present, 1 to 3 thumbnails, 36 characters an id."""

from __future__ import annotations

import base64
import datetime as dt

from pydantic import Field

from serve_app.api.dialects.opencv_cloud.identifiers import shown_id, shown_name
from serve_app.api.dialects.opencv_cloud.requests import MAX_SET, CloudGender
from serve_app.api.schemas.base import Answer
from serve_app.domain import Collection, DetectedFace, ImageInfo
from serve_app.vision.image import encode_jpeg


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


def to_base64(image: bytes) -> str:
    """A picture as the answers carry it."""
    return base64.b64encode(image).decode()
