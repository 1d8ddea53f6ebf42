"""Collections: bodies that create and change them, and responses."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Annotated, Any

from pydantic import Field, ValidationInfo, field_validator

from serve_app.api.schemas.base import Answer, Body, NewCollectionName, NextPage, Plain, Separated, View
from serve_app.domain import CollectionKind, CollectionPolicy, ImageStorage, NewCollection
from serve_app.domain.collections import MAX_KEEP_UNKNOWN_H, RETENTION_DAYS
from serve_app.domain.names import NAME_RULE

Title = Annotated[str, Field(max_length=200, examples=["Everybody with a badge"]), Plain]
Description = Annotated[str, Field(max_length=2000), Plain]
UserData = Annotated[str, Field(max_length=16384, description="Stored for the caller and not interpreted."), Plain]
Tags = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=100), Plain]],
    Field(max_length=50, fail_fast=True, examples=[["berlin"]]),
    Separated,
]
Probability = Annotated[float, Field(ge=0, le=1, examples=[0.5])]
QualityValue = Annotated[float, Field(ge=0, le=1, examples=[0.4])]
Score = Annotated[float, Field(ge=0, le=1, examples=[0.7])]


def _no_null(value: Any) -> Any:
    if value is None:
        raise ValueError("null was not expected; leave the field out to keep its value")
    return value


def _null_clears(value: Any, info: ValidationInfo) -> Any:
    empty = [] if info.field_name == "tags" else ""
    return empty if value is None else value


class PolicyBody(Body):
    """Policy of a collection. A field that is left out keeps its value; in a new collection it gets the default."""

    liveness: bool | None = Field(None, description="Whether enrolment and search refuse faces that are not live.")
    liveness_threshold: Probability | None = Field(None, description="Minimum probability of a live face.")
    min_score: Score | None = Field(
        None, description="Minimum score of a match in a search of this collection; null: derived from FPIR."
    )
    image_storage: ImageStorage | None = Field(None, description="What enrolment stores of an image.")
    retention_days: float | None = Field(
        None,
        ge=RETENTION_DAYS[0],
        le=RETENTION_DAYS[1],
        description="Days from a person's last change until the person is removed; null: never.",
    )
    keep_unknown_h: int | None = Field(
        None,
        ge=0,
        le=MAX_KEEP_UNKNOWN_H,
        description="Hours for which searches may keep unrecognised faces; 0: they may not.",
        examples=[72],
    )
    reject_below: QualityValue | None = Field(
        None, description="Minimum quality of a face at enrolment; 0 refuses none."
    )

    _no_null = field_validator(
        "liveness", "liveness_threshold", "image_storage", "keep_unknown_h", "reject_below", mode="before"
    )(_no_null)

    def applied_to(self, policy: CollectionPolicy) -> CollectionPolicy:
        """The policy with these changes."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return replace(policy, **given)


class CollectionBody(Body):
    """A new collection."""

    name: NewCollectionName = Field(description=f"Unique within the tenant; {NAME_RULE}.")
    title: Title = ""
    description: Description = ""
    kind: CollectionKind = CollectionKind.INTERNAL
    tags: Tags = Field([])
    user_data: UserData = ""
    policy: PolicyBody = PolicyBody()

    def to_domain(self, default: CollectionPolicy) -> NewCollection:
        """Convert for the gallery; ``default`` is the policy for the fields that are left out."""
        fields = {**dict(self), "tags": tuple(self.tags), "policy": self.policy.applied_to(default)}
        return NewCollection(**fields)


class CollectionChanges(Body):
    """Changes to a collection. Fields that are left out keep their values; null clears a text or the tags."""

    name: NewCollectionName | None = Field(None, description="A new name.")
    title: Title | None = None
    description: Description | None = None
    kind: CollectionKind | None = None
    tags: Tags | None = None
    user_data: UserData | None = None
    policy: PolicyBody | None = None

    _no_null = field_validator("name", "kind", "policy", mode="before")(_no_null)
    _null_clears = field_validator("title", "description", "tags", "user_data", mode="before")(_null_clears)

    def plain(self) -> dict[str, Any]:
        """The fields that were sent, except the policy."""
        changes = {name: value for name, value in self if value is not None and name != "policy"}
        return changes if self.tags is None else {**changes, "tags": tuple(self.tags)}


class PolicyView(View):
    """Policy of a collection."""

    liveness: bool
    liveness_threshold: float
    min_score: float | None
    image_storage: ImageStorage
    retention_days: float | None
    reject_below: float
    keep_unknown_h: int


class CollectionView(View):
    """A collection."""

    id: str = Field(description="32 hexadecimal digits.")
    name: str = Field(examples=["staff"])
    title: str
    description: str
    kind: CollectionKind
    tags: list[str]
    user_data: str
    policy: PolicyView
    person_count: int = Field(examples=[1000])
    face_count: int = Field(examples=[1204])
    created: dt.datetime
    modified: dt.datetime


class CollectionPage(Answer):
    """A page of collections, by name."""

    collections: list[CollectionView]
    cursor: NextPage
