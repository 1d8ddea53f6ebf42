"""Background tasks: progress and results, and the lines of bulk uploads."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any

from pydantic import AliasPath, Field, model_validator

from serve_app.api.schemas.base import Answer, Body, ImageText, NextPage, OneOrMore, PersonId, Url, View
from serve_app.api.schemas.collections import Score
from serve_app.api.schemas.faces import Rounded
from serve_app.api.schemas.persons import PersonSummary, PersonTexts
from serve_app.domain import TaskState


class DuplicatesBody(Body):
    """Threshold of a search for duplicates; with neither field, that of a search of the collection."""

    min_score: Score | None = Field(None, description="Minimum score of a pair. Excludes fpir.")
    fpir: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Accepted share of faces with a false partner; 1 % unless min_score is sent.",
        examples=[0.01],
    )

    @model_validator(mode="after")
    def _consistent(self) -> DuplicatesBody:
        if self.min_score is not None and self.fpir is not None:
            raise ValueError("min_score and fpir exclude each other; send one of them")
        return self


class DistinctBody(Body):
    """The person who is a different person."""

    person_id: PersonId = Field(description="The other person.")
    distinct: bool = Field(True, description="False revokes it.")


class DistinctView(Answer):
    """Whether two persons are recorded as different people."""

    persons: tuple[str, str] = Field(examples=[("ada", "eve")])
    distinct: bool = Field(description="Whether searches for duplicates leave out the pair.", examples=[True])


class TaskView(View):
    """A background task. Its record is kept for a week."""

    id: str = Field(description="32 hexadecimal digits.", examples=["5f0c6d7e8a9b4c1d8e2f3a4b5c6d7e8f"])
    kind: str = Field(examples=["duplicates"])
    state: TaskState = Field(description="`done`, `failed` and `cancelled` are final.")
    done: int = Field(description="Finished part of `total`; for duplicates, in comparisons.", examples=[4999950000])
    total: int = Field(examples=[4999950000])
    arguments: dict[str, Any] = Field(
        description="Arguments of the task.", examples=[{"collection": "staff", "min_score": 0.85, "faces": 100000}]
    )
    result: dict[str, Any] = Field(description="The result, once the task is done.", examples=[{"pairs": 17}])
    error: str = Field(description="Why the task failed; otherwise empty.")
    created: dt.datetime
    finished: dt.datetime | None


class TaskList(Answer):
    """The latest tasks, newest first."""

    tasks: list[TaskView]


class DuplicateSide(View):
    """One side of a pair."""

    person: PersonSummary | None = Field(description="Null for an unassigned face.")
    face_id: str = Field(validation_alias=AliasPath("face", "id"))


class DuplicateView(View):
    """Two persons who may be the same, with their two most similar faces."""

    score: Rounded = Field(description="Calibrated, 0 to 1.", examples=[0.93])
    distance: Rounded = Field(description="Cosine distance, 0 to 2.", examples=[0.31])
    distinct: bool = Field(description="Whether they are recorded as different people.", examples=[False])
    first: DuplicateSide
    second: DuplicateSide


class DuplicatePage(Answer):
    """A page of pairs, most similar first. Persons deleted meanwhile are left out, so a page can be short."""

    pairs: list[DuplicateView]
    cursor: NextPage


MOST_IN_A_LINE = Field(max_length=5000, fail_fast=True)


class BulkPersonTexts(PersonTexts):
    """A person without images."""

    person: PersonId


class BulkLine(BulkPersonTexts):
    """A line of an upload: a person with at least one image."""

    image_base64: Annotated[list[ImageText], MOST_IN_A_LINE, OneOrMore] = Field(
        [], description="One image or several as base64, bare or as `data:` URLs."
    )
    image_url: Annotated[list[Url], MOST_IN_A_LINE, OneOrMore] = Field(
        [], description="One http(s) URL of an image or several, fetched when the person is enrolled."
    )


class BulkError(Answer):
    """Why an image was not enrolled; with an empty `file`, why the person was not."""

    file: str = Field(description="The image's path in the zip, its URL, or `image_base64[0]`.")
    code: str = Field(examples=["face_not_found"])
    message: str


class BulkOutcome(Answer):
    """The result for one person: a line of the report."""

    person: str = Field(examples=["ada-lovelace"])
    files: list[str] = Field(description="The images, named as in `errors`.")
    status: str = Field(
        description="`enrolled`: from every image; `partial`: without the refused images; `failed`: not enrolled.",
        examples=["partial"],
    )
    faces: int = Field(description="Number of faces that were added.")
    errors: list[BulkError]
