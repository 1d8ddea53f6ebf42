"""The search request and its answer."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AliasChoices, Field, model_validator

from serve_app.api.schemas.base import Answer, CollectionName, FaceId, Separated, View
from serve_app.api.schemas.collections import Score
from serve_app.api.schemas.faces import (
    BoxView,
    FaceOnPicture,
    ImageView,
    LandmarksView,
    LivenessView,
    QualityView,
    rounded,
)
from serve_app.api.schemas.persons import PersonSummary
from serve_app.api.schemas.pictures import OptionalLiveness, PictureBody
from serve_app.api.schemas.unknowns import SightingView
from serve_app.domain import Match, SearchedFace, SearchResult


class SearchBody(PictureBody):
    """Who is on the picture, or who looks like an enrolled face?"""

    face_id: FaceId | None = Field(None, description="An enrolled face instead of a picture.")
    collections: Annotated[list[CollectionName], Separated] = Field(
        min_length=1,
        max_length=100,
        validation_alias=AliasChoices("collections", "collection"),
        description="Names of one collection or several; in a form repeated or comma-separated.",
        examples=[["staff", "visitors"]],
    )
    max_results: int = Field(5, ge=1, le=10_000, description="Persons for each face; GET /v1/info has the limit.")
    min_score: Score | None = Field(None, description="Report matches from this score on. Excludes fpir.")
    fpir: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Accept so many searches by unknown people that return anyone. Excludes min_score; with neither, "
        "the collections' policy holds, else FPIR 1 %.",
        examples=[0.01],
    )
    faces: Literal["largest", "all"] = Field("largest", description="Search for the largest face or for each.")
    keep_unknown: CollectionName | None = Field(
        None,
        description="Keep faces that nobody is found for in this collection, one of those that are searched, for "
        "naming later. Its policy's `keep_unknown_h` must allow it.",
        examples=["staff"],
    )
    liveness: bool = Field(False, description="Report faces that are not live without matches.")

    trace: bool = Field(
        True, description="False leaves no trace of the search in the audit log, where the settings allow that."
    )

    @model_validator(mode="after")
    def _consistent(self) -> SearchBody:
        if self.min_score is not None and self.fpir is not None:
            raise ValueError("min_score and fpir exclude each other; send one of them")
        if self.face_id is not None and self.liveness:
            raise ValueError("liveness needs a picture; an enrolled face cannot be checked")
        if not self.trace and self.keep_unknown is not None:
            raise ValueError("a search that leaves no trace cannot keep unknown faces")
        if self.face_id is not None and self.keep_unknown is not None:
            raise ValueError("keep_unknown needs a picture; an enrolled face is kept already")
        return self


class MatchView(Answer):
    """Someone who may be the person looked for."""

    collection: str = Field(examples=["staff"])
    person: PersonSummary | None = Field(description="Null for a face that stands for itself.")
    face_id: str = Field(description="The enrolled face that is most alike.")
    score: float = Field(description="Calibrated, 0 to 1: each 0.05 is one order of magnitude of FMR.", examples=[0.91])
    distance: float = Field(description="Cosine distance, 0 to 2.", examples=[0.33])

    @classmethod
    def of(cls, match: Match) -> MatchView:
        """From the domain."""
        return cls(
            collection=match.collection,
            person=PersonSummary.of(match.person) if match.person else None,
            face_id=match.face.id,
            score=rounded(match.score),
            distance=rounded(match.distance),
        )


OptionalSighting = Annotated[SightingView | None, Field(description="Where the face was kept; null if it was not.")]


class SearchedFaceView(Answer):
    """A face that was looked for. What belongs to a picture is null when the search was by ``face_id``."""

    box: BoxView | None
    landmarks: LandmarksView | None
    detection_score: float | None
    quality: float | None = Field(description="0 (useless) to 1: the chance of being recognised.")
    quality_details: QualityView | None
    liveness: OptionalLiveness = None
    matches: list[MatchView] = Field(description="Best first, no person twice.")
    unknown: OptionalSighting = None

    @classmethod
    def of(cls, searched: SearchedFace) -> SearchedFaceView:
        """From the domain."""
        face = searched.face
        return cls(
            **(FaceOnPicture.fields_of(face) if face else dict.fromkeys(FaceOnPicture.model_fields)),
            liveness=LivenessView.of(searched.liveness) if searched.liveness else None,
            matches=[MatchView.of(match) for match in searched.matches],
            unknown=SightingView.of(searched.unknown) if searched.unknown else None,
        )


class ThresholdView(View):
    """The threshold that was used and what it means."""

    min_score: float = Field(examples=[0.75])
    fmr: float = Field(description="Expected share of false matches among comparisons.", examples=[1e-5])
    fpir: float = Field(description="Expected share of searches by unknown people that return anyone.", examples=[0.01])
    gallery_size: int = Field(description="Faces compared with.", examples=[1000])


class SearchAnswer(Answer):
    """Who it may be. No face on the picture gives an empty list."""

    request_id: str
    image: ImageView | None = Field(description="Null when the search was by face_id.")
    faces: list[SearchedFaceView]
    model: str = Field(examples=["sface-2021dec"])
    threshold: ThresholdView
    timings_ms: dict[str, float] = Field(
        description="Milliseconds of each step.", examples=[{"detect": 9.1, "embed": 7.4, "match": 2.2, "total": 18.7}]
    )

    @classmethod
    def of(cls, request_id: str, result: SearchResult) -> SearchAnswer:
        """From the domain."""
        return cls(
            request_id=request_id,
            image=ImageView.of(result.image) if result.image else None,
            faces=[SearchedFaceView.of(face) for face in result.faces],
            model=result.model,
            threshold=ThresholdView.of(result.threshold),
            timings_ms=dict(result.timings),
        )
