"""Responses of the FR Server dialect."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from pydantic import Field, RootModel

from serve_app.api.api_context import ApiContext
from serve_app.api.dialects.opencv_fr_server.errors import FrServerError
from serve_app.api.schemas.base import Answer, NextPage
from serve_app.domain import Collection, Match, Person

STORED_FACE = "The stored thumbnail, a JPEG of 112x112 pixels; empty if the storage type kept none."


class FrServerMatch(Answer):
    """A person who was found."""

    face_base_64: str = Field(description=STORED_FACE)
    metadata: dict[str, str]
    person_id: str
    person_name: str
    similarity_score: float = Field(description="Calibrated, 0 to 1.", examples=[0.93])

    @classmethod
    def of(cls, match: Match, thumbnail: str) -> FrServerMatch:
        """Build from the match. An unassigned face is shown with its own id and its user's text."""
        person = match.person
        return cls(
            face_base_64=thumbnail,
            metadata=dict(person.metadata) if person else {},
            person_id=person.id if person else match.face.id,
            person_name=person.name if person else match.face.user_id,
            similarity_score=match.score,
        )


class FrServerMatches(RootModel[list[FrServerMatch]]):
    """The persons who were found, best first."""


class FrServerMultiSearchAnswer(Answer):
    """One person per recognised face, best first, and the unrecognised faces."""

    person_search_results: list[FrServerMatch]
    unrecognized_face_thumbnails_base_64: list[str] = Field(description="Largest face first: JPEG, 112x112 pixels.")


class FrServerCompareAnswer(Answer):
    """Whether the two images show the same person."""

    is_match: bool


class FrServerCollection(Answer):
    """A collection."""

    name: str = Field(examples=["MyCollection"])
    num_persons: int = Field(examples=[0])

    @classmethod
    def of(cls, collection: Collection) -> FrServerCollection:
        """Build from the domain value."""
        return cls(name=collection.name, num_persons=collection.person_count)


class FrServerCollections(Answer):
    """A page of collections, by name."""

    collections: list[FrServerCollection]
    cursor: NextPage


class FrServerPerson(Answer):
    """A person of a collection."""

    person_id: str
    person_name: str
    collection_name: str
    metadata: dict[str, str]
    face_base_64: str = Field(description=STORED_FACE)

    @classmethod
    def of(cls, person: Person, collection: str, thumbnail: str) -> FrServerPerson:
        """Build from the domain value."""
        return cls(
            person_id=person.id,
            person_name=person.name,
            collection_name=collection,
            metadata=dict(person.metadata),
            face_base_64=thumbnail,
        )


class FrServerPersons(Answer):
    """A page of persons, by id."""

    persons: list[FrServerPerson]
    cursor: NextPage


class FrServerBulkAnswer(RootModel[list[FrServerError]]):
    """One result per person, in the order of the request."""


def to_base64(image: bytes | None) -> str:
    """An image as base64; empty for None."""
    return base64.b64encode(image or b"").decode()


async def thumbnails(context: ApiContext, tenant: str, face_ids: Sequence[str]) -> list[str]:
    """The stored thumbnails of faces as base64; empty for a face without one."""
    if not face_ids:
        return []
    images = await context.service.matcher.face_images(tenant, face_ids, "thumbnail")
    return [to_base64(image) for image in images]
