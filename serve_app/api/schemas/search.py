"""The search request and its response."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AliasChoices, AliasPath, Field, model_validator

from serve_app.api.schemas.base import Answer, CollectionName, FaceId, Separated, View
from serve_app.api.schemas.collections import Score
from serve_app.api.schemas.faces import (
    BoxView,
    FaceOnPicture,
    ImageView,
    LandmarksView,
    LeftOut,
    QualityView,
    Rounded,
    Turned,
)
from serve_app.api.schemas.persons import PersonSummary
from serve_app.api.schemas.pictures import OptionalLiveness, PictureBody
from serve_app.api.schemas.unknowns import SightingView
from serve_app.domain import SearchedFace, SearchResult


class SearchBody(PictureBody):
    """A search with an image or with an enrolled face."""

    face_id: FaceId | None = Field(None, description="An enrolled face as the probe, instead of an image.")
    collections: Annotated[list[CollectionName], Separated] = Field(
        min_length=1,
        max_length=100,
        fail_fast=True,
        validation_alias=AliasChoices("collections", "collection"),
        description="Names of one collection or several; in a form, repeated or comma-separated.",
        examples=[["staff", "visitors"]],
    )
    max_results: int = Field(5, ge=1, le=10_000, description="Persons per face, at most; GET /v1/info has the limit.")
    min_score: Score | None = Field(None, description="Minimum score of a match. Excludes fpir.")
    fpir: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Accepted share of searches by unknown people that return anyone. Excludes min_score. With "
        "neither, the collections' policy decides, otherwise FPIR 1 %.",
        examples=[0.01],
    )
    faces: Literal["largest", "all"] = Field("largest", description="Search with the largest face or with each face.")
    keep_unknown: CollectionName | None = Field(
        None,
        description="Keep unrecognised faces in this collection, which must be one of the searched ones, so that they "
        "can be named later. Its policy's `keep_unknown_h` must allow it.",
        examples=["staff"],
    )
    liveness: bool = Field(False, description="Check liveness; faces that are not live are reported without matches.")
    trace: bool = Field(
        True, description="False: the search is not recorded in the audit log, if the settings allow that."
    )

    @model_validator(mode="after")
    def _consistent(self) -> SearchBody:
        if self.min_score is not None and self.fpir is not None:
            raise ValueError("min_score and fpir exclude each other; send one of them")
        if self.face_id is not None and self.liveness:
            raise ValueError("liveness needs an image; an enrolled face cannot be checked")
        if not self.trace and self.keep_unknown is not None:
            raise ValueError("a search without trace cannot keep unknown faces")
        if self.face_id is not None and self.keep_unknown is not None:
            raise ValueError("keep_unknown needs an image; an enrolled face is stored already")
        return self


class MatchView(View):
    """A person or unassigned face that matches the probe."""

    collection: str = Field(examples=["staff"])
    person: PersonSummary | None = Field(description="Null for an unassigned face.")
    face_id: str = Field(validation_alias=AliasPath("face", "id"), description="The most similar enrolled face.")
    score: Rounded = Field(
        description="Calibrated, 0 to 1: each 0.05 is one order of magnitude of FMR.", examples=[0.91]
    )
    distance: Rounded = Field(description="Cosine distance, 0 to 2.", examples=[0.33])


OptionalSighting = Annotated[SightingView | None, Field(description="Where the face was kept; null if it was not.")]


class SearchedFaceView(Answer):
    """A probe face. Fields about the image are null if the search was by ``face_id``."""

    box: BoxView | None
    landmarks: LandmarksView | None
    detection_score: Rounded | None
    quality: Rounded | None = Field(description="0 (useless) to 1: the probability of being recognised.")
    quality_details: QualityView | None
    turned: Turned | None
    liveness: OptionalLiveness = None
    matches: list[MatchView] = Field(description="Best first, each person once.")
    unknown: OptionalSighting = None

    @classmethod
    def of(cls, searched: SearchedFace) -> SearchedFaceView:
        """Build from the domain value."""
        face = searched.face
        return cls(
            **(FaceOnPicture.fields_of(face) if face else dict.fromkeys(FaceOnPicture.model_fields)),
            liveness=searched.liveness,
            matches=searched.matches,
            unknown=searched.unknown,
        )


class ThresholdView(View):
    """The threshold of a search, as score, FMR and FPIR. ``min_score`` is not rounded: a caller can send it again."""

    min_score: float = Field(examples=[0.75])
    fmr: float = Field(description="Expected share of false matches among comparisons.", examples=[1e-5])
    fpir: float = Field(description="Expected share of searches by unknown people that return anyone.", examples=[0.01])
    gallery_size: int = Field(description="Number of faces that were compared.", examples=[1000])


class SearchAnswer(Answer):
    """The result of a search. ``faces`` is empty if the image shows no face."""

    request_id: str
    image: ImageView | None = Field(description="Null if the search was by face_id.")
    faces: list[SearchedFaceView]
    faces_left_out: LeftOut
    model: str = Field(examples=["sface-2021dec"])
    threshold: ThresholdView
    timings_ms: dict[str, float] = Field(
        description="Milliseconds of each step.", examples=[{"detect": 9.1, "embed": 7.4, "match": 2.2, "total": 18.7}]
    )

    @classmethod
    def of(cls, request_id: str, result: SearchResult) -> SearchAnswer:
        """Build from the domain value."""
        return cls(
            request_id=request_id,
            image=result.image,
            faces=[SearchedFaceView.of(face) for face in result.faces],
            faces_left_out=result.left_out,
            model=result.model,
            threshold=result.threshold,
            timings_ms=dict(result.timings),
        )
