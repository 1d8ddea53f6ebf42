"""Persons: what enrols and describes them."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BeforeValidator, Field, ValidationError, model_validator

from serve_app.api.errors import from_pydantic
from serve_app.api.schemas.base import (
    Answer,
    Body,
    JsonText,
    NextPage,
    OneOrMore,
    PersonId,
    Separated,
    Text,
    UploadField,
    View,
)
from serve_app.api.schemas.collections import QualityValue, Score
from serve_app.api.schemas.faces import FaceView
from serve_app.domain import Consent, Face, ImageStorage, Person, PersonFields, QualityCode

ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def _iso_date(value: Any) -> Any:
    if (isinstance(value, str) and value and not ISO_DATE.fullmatch(value)) or isinstance(value, int | float):
        raise ValueError("a date as YYYY-MM-DD was expected")
    return value


MetadataKey = Annotated[Text, Field(min_length=1, max_length=200)]
MetadataValue = Annotated[Text, Field(max_length=10_000)]
Metadata = Annotated[dict[MetadataKey, MetadataValue], Field(max_length=200, examples=[{"badge": "1843"}]), JsonText]
WatchList = Annotated[
    list[Annotated[Text, Field(min_length=1, max_length=200)]], Field(max_length=100, examples=[["PEP"]]), Separated
]


class ConsentBody(Body):
    """On what ground a person's data are kept; an empty `basis` clears it."""

    basis: Annotated[Text, Field(max_length=200, examples=["explicit consent"])]
    reference: Annotated[Text, Field(max_length=500, description="Where the proof is.")] = ""
    given: AwareDatetime | None = Field(None, description="With a time zone.", examples=["2026-01-01T00:00:00Z"])
    expires: AwareDatetime | None = Field(None, description="From when on the person is erased; null: never.")

    def to_domain(self) -> Consent:
        """As the gallery takes it."""
        return Consent(self.basis, self.reference, self.given, self.expires)


class ConsentView(View):
    """On what ground a person's data are kept."""

    basis: str
    reference: str
    given: dt.datetime | None
    expires: dt.datetime | None


class PicturesBody(Body):
    """Pictures of one person, each with one face: files, base64 texts and URLs, in that order."""

    image: Annotated[list[UploadField], OneOrMore] = Field([], description="Files, any number.")
    image_base64: Annotated[list[str], OneOrMore] = Field(
        [], description="One picture or several as base64, bare or as `data:` URLs."
    )
    image_url: Annotated[list[str], OneOrMore] = Field([], description="One http(s) URL of a picture or several.")
    faces: Literal["one", "largest"] = Field(
        "one", description="`one` refuses a picture with a second face about as large; `largest` takes the largest."
    )
    liveness: bool | None = Field(
        None, description="Refuse pictures that are not of a live person; left out: as the collection's policy says."
    )
    image_storage: ImageStorage | None = Field(
        None, description="What to keep of the pictures; left out: as the collection's policy says."
    )
    reject: Annotated[list[QualityCode], Separated] = Field(
        [], description="Refuse pictures whose face has one of these faults.", examples=[["FACE_TOO_SMALL"]]
    )
    reject_below: QualityValue = Field(
        0.0, description="Refuse pictures whose face has a lower quality; the collection's policy may demand more."
    )
    check_duplicates: bool = Field(
        False, description="Refuse a face that another person of the collection has already; answers 409."
    )
    duplicate_min_score: Score | None = Field(
        None,
        description="The score from which it is the same face; left out: as a search of the collection decides. "
        "Needs check_duplicates.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> PicturesBody:
        if self.duplicate_min_score is not None and not self.check_duplicates:
            raise ValueError("duplicate_min_score has a meaning only with check_duplicates")
        return self

    def enrolment_options(self) -> dict[str, Any]:
        """How the service is to enrol the pictures."""
        return {
            "faces": self.faces,
            "liveness": self.liveness,
            "image_storage": self.image_storage,
            "reject": self.reject,
            "reject_below": self.reject_below,
            "check_duplicates": self.check_duplicates,
            "duplicate_min_score": self.duplicate_min_score,
        }


class PersonTexts(Body):
    """What is known of a person.

    Fields that are left out, or null, keep their stored value. An empty text or list clears it, also the date of birth.
    """

    name: Annotated[Text, Field(max_length=200, examples=["Ada Lovelace"])] | None = None
    gender: Annotated[Text, Field(max_length=50)] | None = None
    date_of_birth: (
        Annotated[dt.date | Literal[""], BeforeValidator(_iso_date), Field(examples=["1815-12-10"])] | None
    ) = None
    nationality: Annotated[Text, Field(max_length=100)] | None = None
    id_number: Annotated[Text, Field(max_length=100)] | None = None
    address: Annotated[Text, Field(max_length=1000)] | None = None
    notes: Annotated[Text, Field(max_length=10_000)] | None = None
    watch_list: WatchList | None = Field(None, description="Watch-list categories.")
    consent: Annotated[ConsentBody, JsonText] | None = Field(None, description="In a form as JSON text.")
    metadata: Metadata | None = Field(None, description="Texts by name; replaces the stored ones as a whole.")

    def to_domain(self) -> PersonFields:
        """The person's own fields."""
        return PersonFields(
            name=self.name,
            gender=self.gender,
            date_of_birth=self.date_of_birth,
            nationality=self.nationality,
            id_number=self.id_number,
            address=self.address,
            notes=self.notes,
            watch_list=None if self.watch_list is None else tuple(self.watch_list),
            consent=self.consent.to_domain() if self.consent else None,
            metadata=self.metadata,
        )


def person_fields(fields: Mapping[str, Any]) -> PersonFields:
    """Fields by their names in a request. Raises InvalidRequest."""
    try:
        return PersonTexts.model_validate(dict(fields)).to_domain()
    except ValidationError as error:
        raise from_pydantic(error) from None


class MergeBody(Body):
    """Who is the same person."""

    person_id: PersonId = Field(description="The other record, which goes.")


class PersonBody(PicturesBody, PersonTexts):
    """A person with pictures."""

    mode: Literal["replace", "add"] = Field(
        "replace",
        description="Whether the pictures replace the person's faces or add to them; without any, the faces stay.",
    )
    must_be_new: bool = Field(False, description="Answer 409 instead of changing a person who exists.")


class PersonSummary(View):
    """A person without the faces."""

    id: str = Field(description="The caller's own id.", examples=["ada-lovelace"])
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
    collections: list[str] = Field(description="Names of the collections that hold the person.", examples=[["staff"]])
    created: dt.datetime
    modified: dt.datetime


class PersonView(PersonSummary):
    """A person with the enrolled faces."""

    faces: list[FaceView]

    @classmethod
    def of(cls, value: Person) -> Self:
        """From the domain."""
        return cls(**dict(PersonSummary.of(value)), faces=[FaceView.of(face) for face in value.faces])


class EnrolledPerson(PersonView):
    """A person after an enrolment."""

    added_faces: list[str] = Field(description="Ids of the faces that this request added, in the pictures' order.")

    @classmethod
    def after(cls, person: Person, added: tuple[Face, ...]) -> EnrolledPerson:
        """From the domain."""
        return cls(**dict(PersonView.of(person)), added_faces=[face.id for face in added])


class PersonPage(Answer):
    """A page of persons, by id."""

    persons: list[PersonView]
    cursor: NextPage


class AddedFaces(Answer):
    """Faces that a request added to a person."""

    person_id: str
    faces: list[FaceView]
