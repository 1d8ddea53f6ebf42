"""Responses of the ARGOS dialect, with the vendor's field names."""

# ruff: noqa: N815

from __future__ import annotations

import datetime as dt

from pydantic import Field

from serve_app.api.schemas.base import Answer, is_none
from serve_app.domain import Collection, EnrolledFace, Match
from serve_app.score import DEFAULT_MIN_SCORE

EXAMPLE_ID = "5f0c6d7e8a9b4c1d8e2f3a4b5c6d7e8f"


class ArgosOption(Answer):
    """The collection's policy, as applied."""

    option_liveness: bool = Field(description="Whether the liveness option is applied.")
    liveNess_threshold: float = Field(description="Minimum probability of a live face, 0 to 1.")
    liveNessScore: float | None = Field(description="Probability of a live person; null if it was not checked.")
    policy_similarity: float = Field(description="Minimum score of the same face, 0 to 1.")

    @classmethod
    def of(cls, collection: Collection, liveness: float | None) -> ArgosOption:
        """Build from a collection and a face's probability of being live."""
        return cls(
            option_liveness=collection.policy.liveness,
            liveNess_threshold=collection.policy.liveness_threshold,
            liveNessScore=None if liveness is None else round(liveness, 4),
            policy_similarity=similarity_of(collection),
        )


def similarity_of(collection: Collection) -> float:
    """The minimum score of a match in this collection."""
    given = collection.policy.min_score
    return DEFAULT_MIN_SCORE if given is None else given


class ArgosMatch(Answer):
    """A face that matches the image."""

    face_id: str
    user_name: str
    similarity_score: float = Field(description="0 to 1.")

    @classmethod
    def of(cls, match: Match) -> ArgosMatch:
        """Build from the domain values."""
        name = match.person.name if match.person else match.face.user_id
        return cls(face_id=match.face.id, user_name=name, similarity_score=round(match.score, 4))


class ArgosSearchAnswer(Answer):
    """The matches, best first: `faceIdList` as in the vendor's guide, `result` as in its newer reference."""

    message: str
    searchId: str = Field(description="The request's id, also in the header X-Request-ID.")
    requestName: str | None = Field(None, exclude_if=is_none, description="As sent.")
    userName: str | None = Field(None, exclude_if=is_none, description="As sent.")
    option: ArgosOption
    faceIdList: list[str]
    result: list[ArgosMatch]


class ArgosFaceAdded(Answer):
    """The added face."""

    message: str
    faceId: str
    metaFaceId: str = Field(description="The id of the face's person in the native API.")
    option: ArgosOption


class ArgosFace(Answer):
    """A face of a collection."""

    collection_id: str
    face_id: str
    user_name: str
    create_time: str = Field(description="UTC.", examples=["2026-05-04T09:30:00.000Z"])
    meta_face_id: str

    @classmethod
    def of(cls, collection: Collection, item: EnrolledFace) -> ArgosFace:
        """Build from the domain values."""
        created = item.face.created.astimezone(dt.UTC).isoformat(timespec="milliseconds")
        return cls(
            collection_id=collection.id,
            face_id=item.face.id,
            user_name=item.person.name if item.person else item.face.user_id,
            create_time=created.replace("+00:00", "Z"),
            meta_face_id=item.face.person_id or item.face.id,
        )


class ArgosFaceList(Answer):
    """A page of a collection's faces, oldest first."""

    message: str
    result: list[ArgosFace]
    totalCount: int = Field(description="Faces on all pages.")


class ArgosFaceDeleted(Answer):
    """The face was deleted."""

    message: str
