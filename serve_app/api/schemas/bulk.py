"""Bulk enrolment: lines of uploads, and results."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from serve_app.api.schemas.base import Answer, OneOrMore, PersonId
from serve_app.api.schemas.persons import PersonTexts


class BulkPersonTexts(PersonTexts):
    """A person without images."""

    person: PersonId


class BulkLine(BulkPersonTexts):
    """A line of an upload: a person with at least one image."""

    image_base64: Annotated[list[str], OneOrMore] = Field(
        [], description="One image or several as base64, bare or as `data:` URLs."
    )
    image_url: Annotated[list[str], OneOrMore] = Field(
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
