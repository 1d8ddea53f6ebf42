"""Responses of the OpenCV cloud dialect, as its client requires them: all keys are present, a person has 1 to 3
thumbnails, and an id of a collection has 36 characters."""

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
    count: int = Field(description="Number of persons.")
    create_date: dt.datetime
    modified_date: dt.datetime

    @classmethod
    def of(cls, collection: Collection) -> CloudCollection:
        """Build from the domain value."""
        return cls(
            id=shown_id(collection.id),
            name=shown_name(collection),
            description=collection.description[:100] or None,
            count=collection.person_count,
            create_date=collection.created,
            modified_date=collection.modified,
        )


class CloudCollections(Answer):
    """A part of a listing of collections."""

    count: int = Field(description="Number of items in the whole listing.")
    collections: list[CloudCollection]


class CloudDeleted(Answer):
    """The id of the deleted item."""

    id: str


class CloudLinked(Answer):
    """A person and a collection."""

    collection_id: str
    person_id: str


class CloudLinkedPersons(Answer):
    """Persons who were added to a collection and persons who were removed."""

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
    """A part of a listing of persons."""

    count: int = Field(description="Number of items in the whole listing.")
    persons: list[CloudPerson]


class CloudImage(Answer):
    """An added image."""

    id: str = Field(description="Id of the thumbnail.")
    person_id: str
    thumbnail: str


class CloudLiveMatches(Answer):
    """Matches of the person in front of the camera."""

    liveness_score: float
    persons: list[CloudMatch]


class CloudVerified(Answer):
    """The person, if the images show the person."""

    match: CloudMatch | None


class CloudScore(Answer):
    """The similarity of two sets."""

    score: float


class CloudLiveScore(Answer):
    """The similarity of two sets, and the liveness of the first."""

    score: float
    liveness_score: str = Field(description="A number as a text.", examples=["0.97"])


class CloudLivenessScore(Answer):
    """The liveness of a face."""

    liveness_score: float


class CloudCount(Answer):
    """The number of faces."""

    count: int


class CloudBox(Answer):
    """A rectangle in pixels of the upright image."""

    left: int
    top: int
    right: int
    bottom: int


Point = list[int]


class CloudLandmarks(Answer):
    """Points [x, y]; left and right are those of the person in the image."""

    left_eye: Point
    right_eye: Point
    nose: Point
    left_mouth: Point
    right_mouth: Point


class CloudFace(Answer):
    """A detected face."""

    box: CloudBox
    landmarks: CloudLandmarks
    detection_score: float
    thumbnail: str = Field(description="The aligned face, for /search/crops and /person/crops.")
    persons: list[CloudMatch]

    @classmethod
    def of(cls, face: DetectedFace, image: ImageInfo, persons: list[CloudMatch]) -> CloudFace:
        """Build from the domain value."""
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
    """An image as base64."""
    return base64.b64encode(image).decode()
