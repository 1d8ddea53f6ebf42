"""What the FR Server's clients send and get. Fields that have a default may be left out or null; unknown ones are
ignored, as an older client's must be."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import AliasChoices, ConfigDict, Field, RootModel, model_validator

from serve_app.api.dialects.opencv_fr_server.errors import FrServerError
from serve_app.api.schemas.base import Answer, Body, CollectionName, NewCollectionName, PersonId, Text
from serve_app.api.schemas.persons import Metadata
from serve_app.domain import Collection, Face, ImageStorage, Match, Person, PersonFields

Base64 = Annotated[str, Field(min_length=1, examples=["U2Vjb25kIGltYWdl"])]
Similarity = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[Text, Field(max_length=200, examples=["Ada Lovelace"])]
InCollection = Annotated[CollectionName, Field(examples=["MyCollection"])]

DEFAULT_SIMILARITY = 0.7

CHECK_LIVENESS = "Refuse the picture with 412 unless its one face is fit for a liveness check and live."
MIN_SIMILARITY = "0.7 confirms a match; 0.67 suits pictures of the same person that are years apart."
STORED_FACE = "The stored thumbnail, a JPEG of 112x112 pixels; empty where the storage type kept none."


class FrServerBody(Body):
    """A request's body."""

    model_config = ConfigDict(extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _null_is_left_out(cls, sent: Any) -> Any:
        return {name: value for name, value in sent.items() if value is not None} if isinstance(sent, dict) else sent


# -- searching


class FrServerSearchBody(FrServerBody):
    """Whose face is on a picture."""

    check_liveness: bool = Field(False, description=CHECK_LIVENESS)
    collection_name: InCollection
    face_base_64: Base64 = Field(description="A picture with one face; of several the largest is searched for.")
    min_similarity_score: Similarity = Field(DEFAULT_SIMILARITY, description=MIN_SIMILARITY)
    max_results: int = Field(1, ge=1, description="Persons in the answer.")


class FrServerMultiSearchBody(FrServerBody):
    """Whose faces are on a picture."""

    collection_name: InCollection
    multi_face_img_base_64: Base64 = Field(description="A picture with any number of faces.")
    min_similarity_score: Similarity = Field(DEFAULT_SIMILARITY, description=MIN_SIMILARITY)


class FrServerCompareBody(FrServerBody):
    """Two pictures, one face each."""

    check_liveness: bool = Field(False, description=f"{CHECK_LIVENESS} It is made on `face_base_64`.")
    face_base_64: Base64
    ref_face_base_64: Base64
    min_similarity_score: Similarity = Field(DEFAULT_SIMILARITY, description=MIN_SIMILARITY)


class FrServerMatch(Answer):
    """A person found."""

    face_base_64: str = Field(description=STORED_FACE)
    metadata: dict[str, str]
    person_id: str
    person_name: str
    similarity_score: float = Field(description="Calibrated, 0 to 1.", examples=[0.93])

    @classmethod
    def of(cls, match: Match, thumbnail: str) -> FrServerMatch:
        """From the domain. A face without a person is shown by its own id and its user's text."""
        person = match.person
        return cls(
            face_base_64=thumbnail,
            metadata=dict(person.metadata) if person else {},
            person_id=person.id if person else match.face.id,
            person_name=person.name if person else match.face.user_id,
            similarity_score=match.score,
        )


class FrServerMatches(RootModel[list[FrServerMatch]]):
    """Persons found, best first."""


class FrServerMultiSearchAnswer(Answer):
    """One person for each recognised face, best first, and the faces that nobody is known by."""

    person_search_results: list[FrServerMatch]
    unrecognized_face_thumbnails_base_64: list[str] = Field(description="Largest face first: JPEG, 112x112 pixels.")


class FrServerCompareAnswer(Answer):
    """Whether it is the same person."""

    is_match: bool


# -- collections


class FrServerNewCollectionBody(FrServerBody):
    """A collection to create."""

    name: NewCollectionName


class FrServerCollectionBody(FrServerBody):
    """A collection to delete."""

    name: CollectionName


class FrServerCollection(Answer):
    """A collection."""

    name: str = Field(examples=["MyCollection"])
    num_persons: int = Field(examples=[0])

    @classmethod
    def of(cls, collection: Collection) -> FrServerCollection:
        """From the domain."""
        return cls(name=collection.name, num_persons=collection.person_count)


class FrServerCollections(Answer):
    """A page of collections, by name."""

    collections: list[FrServerCollection]
    cursor: str | None = Field(description="Send it back to get the next page; null on the last.")


# -- persons


class StorageType(StrEnum):
    """What is kept of the picture."""

    NO_STORAGE = "NoStorage"
    STORE_THUMBNAILS = "StoreThumbnails"
    STORE_FULL_IMAGE = "StoreFullImage"

    def to_domain(self) -> ImageStorage:
        """The same in the domain's words."""
        return {
            StorageType.NO_STORAGE: ImageStorage.NONE,
            StorageType.STORE_THUMBNAILS: ImageStorage.THUMBNAIL,
            StorageType.STORE_FULL_IMAGE: ImageStorage.FULL,
        }[self]


class FrServerPersonItem(FrServerBody):
    """A person of a bulk request."""

    person_id: PersonId = Field(description="The caller's own, unique, case-sensitive.")
    person_name: Name
    face_base_64: Base64 = Field(description="A picture with one face.")
    metadata: Metadata | None = Field(None, description="Texts by name; left out, the stored ones stay.")

    def fields(self) -> PersonFields:
        """The person's own fields."""
        return PersonFields(name=self.person_name, metadata=self.metadata)


class EnrolmentOptions(FrServerBody):
    """How a person is enrolled."""

    collection_name: InCollection
    face_storage_type: StorageType = Field(examples=["StoreThumbnails"])
    check_duplicates: bool = Field(False, description="Refuse a face that another person of the collection has.")
    duplicate_check_min_similarity: Similarity = Field(
        DEFAULT_SIMILARITY, description="From which score on it is the same face; unused without `check_duplicates`."
    )
    check_liveness: bool = Field(False, description=CHECK_LIVENESS)


class FrServerPersonBody(FrServerPersonItem, EnrolmentOptions):
    """A person to create or to update."""


class FrServerPersonsBody(EnrolmentOptions):
    """Persons to create or to update, all in one collection."""

    persons: list[FrServerPersonItem] = Field(min_length=1, validation_alias=AliasChoices("persons", "Persons"))


class UncheckedPersons(FrServerPersonsBody):
    """The same with each person still as it was sent, so that one that is wrong does not stop the others."""

    persons: list[Any] = Field(min_length=1, validation_alias=AliasChoices("persons", "Persons"))


class FrServerDeletePersonBody(FrServerBody):
    """A person to delete."""

    person_id: PersonId
    collection_name: InCollection


class FrServerPerson(Answer):
    """A person of a collection."""

    person_id: str
    person_name: str
    collection_name: str
    metadata: dict[str, str]
    face_base_64: str = Field(description=STORED_FACE)

    @classmethod
    def of(cls, person: Person, collection: str, thumbnail: str) -> FrServerPerson:
        """From the domain."""
        return cls(
            person_id=person.id,
            person_name=person.name,
            collection_name=collection,
            metadata=dict(person.metadata),
            face_base_64=thumbnail,
        )


class FrServerPersons(Answer):
    """A page of persons, by id."""

    persons: list[FrServerPerson]
    cursor: str | None = Field(description="Send it back to get the next page; null on the last.")


class FrServerBulkAnswer(RootModel[list[FrServerError]]):
    """One result for each person, in the order of the request."""


def shown_face(person: Person) -> Face | None:
    """The face that stands for a person: the newest."""
    return person.faces[-1] if person.faces else None
