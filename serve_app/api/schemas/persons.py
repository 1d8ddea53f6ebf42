"""Persons: bodies that enrol them, and responses."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from serve_app.api.errors import from_pydantic
from serve_app.api.schemas.base import (
    MAX_MEMBERS,
    Answer,
    Body,
    ImageText,
    JsonText,
    NextPage,
    OneOrMore,
    PersonId,
    Plain,
    Separated,
    Time,
    UploadField,
    Url,
    View,
)
from serve_app.api.schemas.collections import QualityValue, Score
from serve_app.api.schemas.faces import FaceView
from serve_app.domain import CLEARED, Consent, Enrolment, ImageStorage, PersonFields, QualityCode
from serve_app.settings import MOST_IN_A_REQUEST

ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def _iso_date(value: Any) -> Any:
    if (isinstance(value, str) and value and not ISO_DATE.fullmatch(value)) or isinstance(value, int | float):
        raise ValueError("a date as YYYY-MM-DD was expected")
    return value


MetadataKey = Annotated[str, Field(min_length=1, max_length=200), Plain]
MetadataValue = Annotated[str, Field(max_length=10_000), Plain]
Metadata = Annotated[
    dict[MetadataKey, MetadataValue], Field(max_length=MAX_MEMBERS, examples=[{"badge": "1843"}]), JsonText
]
ImageTexts = Annotated[list[ImageText], Field(max_length=MOST_IN_A_REQUEST, fail_fast=True)]
Urls = Annotated[list[Url], Field(max_length=MOST_IN_A_REQUEST, fail_fast=True)]
WatchList = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=200), Plain]],
    Field(max_length=100, fail_fast=True, examples=[["PEP"]]),
    Separated,
]


class ConsentBody(Body):
    """The legal basis for storing a person's data; an empty `basis` clears it."""

    basis: Annotated[str, Field(max_length=200, examples=["explicit consent"]), Plain]
    reference: Annotated[str, Field(max_length=500, description="Where the proof is kept."), Plain] = ""
    given: Time | None = Field(None, description="Time with a time zone.", examples=["2026-01-01T00:00:00Z"])
    expires: Time | None = Field(None, description="When the person is erased; null: never.")

    def to_domain(self) -> Consent:
        """Convert for the gallery."""
        return Consent(self.basis, self.reference, self.given, self.expires)


class ConsentView(View):
    """The legal basis for storing a person's data."""

    basis: str
    reference: str
    given: dt.datetime | None
    expires: dt.datetime | None


class PicturesBody(Body):
    """Images of one person, each with one face: files, base64 texts and URLs, in this order."""

    image: Annotated[list[UploadField], Field(max_length=MOST_IN_A_REQUEST, fail_fast=True), OneOrMore] = Field(
        [], description="Files, any number."
    )
    image_base64: Annotated[ImageTexts, OneOrMore] = Field(
        [], description="One image or several as base64, bare or as `data:` URLs."
    )
    image_url: Annotated[Urls, OneOrMore] = Field([], description="One http(s) URL of an image or several.")
    faces: Literal["one", "largest"] = Field(
        "one", description="`one` refuses an image with a second face about as large; `largest` takes the largest face."
    )
    liveness: bool | None = Field(
        None, description="Refuse images that do not show a live person; left out: the collection's policy decides."
    )
    image_storage: ImageStorage | None = Field(
        None, description="What to store of the images; left out: the collection's policy decides."
    )
    reject: Annotated[list[QualityCode], Field(max_length=100, fail_fast=True), Separated] = Field(
        [], description="Refuse images whose face has one of these faults.", examples=[["FACE_TOO_SMALL"]]
    )
    reject_below: QualityValue = Field(
        0.0, description="Refuse images whose face has a lower quality; the collection's policy can require more."
    )
    check_duplicates: bool = Field(
        False, description="Refuse with 409 a face that another person of the collection already has."
    )
    duplicate_min_score: Score | None = Field(
        None,
        description="Minimum score of the same face; left out: the threshold of a search of the collection. "
        "Needs check_duplicates.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> PicturesBody:
        if self.duplicate_min_score is not None and not self.check_duplicates:
            raise ValueError("duplicate_min_score needs check_duplicates")
        return self

    def enrolment_options(self) -> dict[str, Any]:
        """Keyword arguments for the service's enrolment."""
        images = {"image", "image_base64", "image_url"}
        return {name: getattr(self, name) for name in PicturesBody.model_fields if name not in images}


class PersonTexts(Body):
    """Data about a person.

    Fields that are left out keep their stored value. Null, an empty text or an empty list clears it.
    """

    name: Annotated[str, Field(max_length=200, examples=["Ada Lovelace"]), Plain] | None = None
    gender: Annotated[str, Field(max_length=50), Plain] | None = None
    date_of_birth: (
        Annotated[dt.date | Literal[""], BeforeValidator(_iso_date), Field(examples=["1815-12-10"])] | None
    ) = None
    nationality: Annotated[str, Field(max_length=100), Plain] | None = None
    id_number: Annotated[str, Field(max_length=100), Plain] | None = None
    address: Annotated[str, Field(max_length=1000), Plain] | None = None
    notes: Annotated[str, Field(max_length=10_000), Plain] | None = None
    watch_list: WatchList | None = Field(None, description="Watch-list categories.")
    consent: Annotated[ConsentBody, JsonText] | None = Field(None, description="In a form, as JSON text.")
    metadata: Metadata | None = Field(None, description="Texts by name; replaces all stored metadata.")

    @field_validator(*CLEARED, mode="before")
    @classmethod
    def _null_clears(cls, value: Any, info: ValidationInfo) -> Any:
        return CLEARED[info.field_name or ""] if value is None else value

    def to_domain(self) -> PersonFields:
        """Convert for the gallery."""
        given = {name: getattr(self, name) for name in PersonTexts.model_fields}
        watch_list = None if self.watch_list is None else tuple(self.watch_list)
        consent = self.consent.to_domain() if self.consent else None
        return PersonFields(**{**given, "watch_list": watch_list, "consent": consent})


def person_fields(fields: Mapping[str, Any]) -> PersonFields:
    """Convert fields with the names and values of a request; a None counts as left out. Raises InvalidRequest."""
    try:
        given = {name: value for name, value in fields.items() if value is not None}
        return PersonTexts.model_validate(given).to_domain()
    except ValidationError as error:
        raise from_pydantic(error, PersonTexts) from None


class MergeBody(Body):
    """The other record of the same person."""

    person_id: PersonId = Field(description="The other record, which is deleted.")


class PersonBody(PicturesBody, PersonTexts):
    """A person with images."""

    mode: Literal["replace", "add"] = Field(
        "replace",
        description="Whether the images replace the person's faces or add to them; without images, the faces stay.",
    )
    must_be_new: bool = Field(False, description="Answer 409 instead of changing an existing person.")


class PersonSummary(View):
    """A person without the faces."""

    id: str = Field(description="The id chosen by the caller.", examples=["ada-lovelace"])
    name: str = Field(examples=["Ada Lovelace"])
    gender: str
    date_of_birth: dt.date | None = Field(examples=["1815-12-10"])
    nationality: str
    id_number: str
    address: str
    notes: str
    watch_list: list[str]
    consent: ConsentView | None
    metadata: dict[str, str] = Field(examples=[{"badge": "1843"}])
    collections: list[str] = Field(description="Names of the collections with the person.", examples=[["staff"]])
    created: dt.datetime
    modified: dt.datetime


class PersonView(PersonSummary):
    """A person with the enrolled faces."""

    faces: list[FaceView]


class EnrolledPerson(PersonView):
    """A person after an enrolment."""

    added_faces: list[str] = Field(description="Ids of the faces that this request added, in the order of the images.")

    @classmethod
    def after(cls, enrolment: Enrolment) -> EnrolledPerson:
        """Build from the domain value."""
        return cls(**dict(PersonView.of(enrolment.person)), added_faces=[face.id for face in enrolment.faces])


class PersonPage(Answer):
    """A page of persons, by id."""

    persons: list[PersonView]
    cursor: NextPage


class AddedFaces(Answer):
    """Faces that a request added to a person."""

    person_id: str
    faces: list[FaceView]
