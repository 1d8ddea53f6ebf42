"""Work in the background: how far it is, and what it found."""

from __future__ import annotations

import datetime as dt
from typing import Any

from pydantic import Field, model_validator

from serve_app.api.schemas.base import Answer, Body, NextPage, PersonId, View
from serve_app.api.schemas.collections import Score
from serve_app.api.schemas.faces import rounded
from serve_app.api.schemas.persons import PersonSummary
from serve_app.domain import DuplicatePair, EnrolledFace, Page, TaskState


class DuplicatesBody(Body):
    """From which score on two persons may be one; with neither field, as a search of the collection decides."""

    min_score: Score | None = Field(None, description="Report pairs from this score on. Excludes fpir.")
    fpir: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Accept so many faces with a false partner; 1 % unless min_score is sent.",
        examples=[0.01],
    )

    @model_validator(mode="after")
    def _consistent(self) -> DuplicatesBody:
        if self.min_score is not None and self.fpir is not None:
            raise ValueError("min_score and fpir exclude each other; send one of them")
        return self


class DistinctBody(Body):
    """Who is somebody else."""

    person_id: PersonId = Field(description="The other person.")
    distinct: bool = Field(True, description="False takes it back.")


class DistinctView(Answer):
    """What is known of two persons now."""

    persons: tuple[str, str] = Field(examples=[("ada", "eve")])
    distinct: bool = Field(description="Whether searches for duplicates leave the pair out.", examples=[True])


class TaskView(View):
    """Work in the background. Its record is kept for a week."""

    id: str = Field(description="32 hexadecimal digits.", examples=["5f0c6d7e8a9b4c1d8e2f3a4b5c6d7e8f"])
    kind: str = Field(examples=["duplicates"])
    state: TaskState = Field(description="`done`, `failed` and `cancelled` are final.")
    done: int = Field(description="How much of `total` is done; for duplicates, comparisons.", examples=[4999950000])
    total: int = Field(examples=[4999950000])
    arguments: dict[str, Any] = Field(
        description="What was asked.", examples=[{"collection": "staff", "min_score": 0.85, "faces": 100000}]
    )
    result: dict[str, Any] = Field(description="What came of it, when it is done.", examples=[{"pairs": 17}])
    error: str = Field(description="Why it failed; else empty.")
    created: dt.datetime
    finished: dt.datetime | None


class TaskList(Answer):
    """The latest tasks, newest first."""

    tasks: list[TaskView]


class DuplicateSide(Answer):
    """One of the two."""

    person: PersonSummary | None = Field(description="Null for a face that stands for itself.")
    face_id: str

    @classmethod
    def of(cls, side: EnrolledFace) -> DuplicateSide:
        """From the domain."""
        return cls(person=PersonSummary.of(side.person) if side.person else None, face_id=side.face.id)


class DuplicateView(Answer):
    """Two persons who may be one, by their two faces that are most alike."""

    score: float = Field(description="Calibrated, 0 to 1.", examples=[0.93])
    distance: float = Field(description="Cosine distance, 0 to 2.", examples=[0.31])
    distinct: bool = Field(description="Whether somebody has told them apart.", examples=[False])
    first: DuplicateSide
    second: DuplicateSide


class DuplicatePage(Answer):
    """A page of pairs, most alike first. Whoever was deleted meanwhile is left out, so a page may be short."""

    pairs: list[DuplicateView]
    cursor: NextPage

    @classmethod
    def of(cls, page: Page[DuplicatePair]) -> DuplicatePage:
        """From the domain."""
        pairs = [
            DuplicateView(
                score=rounded(pair.score),
                distance=rounded(pair.distance),
                distinct=pair.distinct,
                first=DuplicateSide.of(pair.first),
                second=DuplicateSide.of(pair.second),
            )
            for pair in page.items
        ]
        return cls(pairs=pairs, cursor=page.cursor)
