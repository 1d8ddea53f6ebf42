"""Unknowns: clusters of unrecognised faces that searches kept."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

from pydantic import Field

from serve_app.api.schemas.base import Answer, Body, FaceId, NextPage, PersonId, Separated, View
from serve_app.api.schemas.faces import FaceView
from serve_app.api.schemas.persons import PersonTexts


class SightingView(View):
    """Where an unrecognised face was kept."""

    id: str = Field(description="The unknown that the face belongs to.", examples=["5f0c6d7e8a9b4c1d8e2f3a4b5c6d7e8f"])
    is_new: bool = Field(description="Whether no kept face was similar to it.")


class UnknownView(View):
    """A cluster of similar faces of a person who has not been named."""

    id: str = Field(description="32 hexadecimal digits.", examples=["5f0c6d7e8a9b4c1d8e2f3a4b5c6d7e8f"])
    collection: str = Field(examples=["staff"])
    faces: list[FaceView] = Field(description="Newest first, at most 20; GET /v1/faces/{face_id}/image shows one.")
    sightings: int = Field(description="Number of searches that saw the face.", examples=[3])
    first_seen: dt.datetime
    last_seen: dt.datetime
    expires: dt.datetime = Field(description="When the last of the faces is erased.")


class UnknownPage(Answer):
    """A page of unknowns, latest seen first."""

    unknowns: list[UnknownView]
    cursor: NextPage


class NameBody(PersonTexts):
    """The person that an unknown is."""

    person_id: PersonId = Field(description="A new or an enrolled person.")
    must_be_new: bool = Field(False, description="Answer 409 instead of adding to an existing person.")


class MergeUnknownsBody(Body):
    """Unknowns that are the same person."""

    others: Annotated[list[FaceId], Separated] = Field(
        min_length=1, max_length=100, fail_fast=True, description="Unknowns that become part of this one."
    )
