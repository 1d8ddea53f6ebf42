"""Uploads of many persons, and what became of them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from serve_app.api.schemas.base import Answer, OneOrMore, PersonId
from serve_app.api.schemas.persons import PersonTexts


class BulkPersonTexts(PersonTexts):
    """A person without pictures."""

    person: PersonId


class BulkLine(BulkPersonTexts):
    """A line of an upload: a person with at least one picture."""

    image_base64: Annotated[list[str], OneOrMore] = Field(
        [], description="One picture or several as base64, bare or as `data:` URLs."
    )
    image_url: Annotated[list[str], OneOrMore] = Field(
        [], description="One http(s) URL of a picture or several, fetched when it is the person's turn."
    )


class BulkError(Answer):
    """Why a picture, or with an empty `file` the person, was not enrolled."""

    file: str = Field(description="The picture's place in the zip, its URL, or `image_base64[0]`.")
    code: str = Field(examples=["face_not_found"])
    message: str


class BulkOutcome(Answer):
    """What became of a person: one line of the report."""

    person: str = Field(examples=["ada-lovelace"])
    files: list[str] = Field(description="The pictures, named as in `errors`.")
    status: str = Field(
        description="`enrolled`: from every picture; `partial`: without the refused ones; `failed`: not at all.",
        examples=["partial"],
    )
    faces: int = Field(description="How many were added.")
    errors: list[BulkError]
