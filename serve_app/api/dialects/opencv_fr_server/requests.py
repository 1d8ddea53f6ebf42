"""Request bodies of the FR Server dialect.

A field with a default may be left out or null. Unknown fields are ignored: other versions of a client may send them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import AliasChoices, ConfigDict, Field, model_validator

from serve_app.api.schemas.base import Body, CollectionName, ImageText, NewCollectionName, PersonId, Plain
from serve_app.api.schemas.persons import Metadata
from serve_app.domain import ImageStorage, PersonFields, QualityCode
from serve_app.settings import MOST_IN_A_REQUEST

EXAMPLE_BASE64 = "U2Vjb25kIGltYWdl"

Base64 = Annotated[ImageText, Field(min_length=1, examples=[EXAMPLE_BASE64])]
Similarity = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, Field(max_length=200, examples=["Ada Lovelace"]), Plain]
InCollection = Annotated[CollectionName, Field(examples=["MyCollection"])]

DEFAULT_SIMILARITY = 0.7

CHECK_LIVENESS = "Refuse the image with 412 unless it has one face that is fit for a liveness check and live."
MIN_SIMILARITY = "0.7 confirms a match; 0.67 suits images of the same person that are years apart."


class FrServerBody(Body):
    """A request body."""

    model_config = ConfigDict(extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _null_is_left_out(cls, sent: Any) -> Any:
        return {name: value for name, value in sent.items() if value is not None} if isinstance(sent, dict) else sent


class FrServerSearchBody(FrServerBody):
    """A search with one face of an image."""

    check_liveness: bool = Field(False, description=CHECK_LIVENESS)
    collection_name: InCollection
    face_base_64: Base64 = Field(description="An image with one face; of several faces the largest is used.")
    min_similarity_score: Similarity = Field(DEFAULT_SIMILARITY, description=MIN_SIMILARITY)
    max_results: int = Field(1, ge=1, description="Maximum number of persons in the response.")


class FrServerMultiSearchBody(FrServerBody):
    """A search with all faces of an image."""

    collection_name: InCollection
    multi_face_img_base_64: Base64 = Field(description="An image with any number of faces.")
    min_similarity_score: Similarity = Field(DEFAULT_SIMILARITY, description=MIN_SIMILARITY)


class FrServerCompareBody(FrServerBody):
    """Two images with one face each."""

    check_liveness: bool = Field(False, description=f"{CHECK_LIVENESS} `face_base_64` is checked.")
    face_base_64: Base64
    ref_face_base_64: Base64
    min_similarity_score: Similarity = Field(DEFAULT_SIMILARITY, description=MIN_SIMILARITY)


class FrServerNewCollectionBody(FrServerBody):
    """A collection to create."""

    name: NewCollectionName


class FrServerCollectionBody(FrServerBody):
    """A collection to delete."""

    name: CollectionName


class StorageType(StrEnum):
    """What is stored of the image."""

    NO_STORAGE = "NoStorage"
    STORE_THUMBNAILS = "StoreThumbnails"
    STORE_FULL_IMAGE = "StoreFullImage"

    def to_domain(self) -> ImageStorage:
        """Convert for the gallery."""
        return {
            StorageType.NO_STORAGE: ImageStorage.NONE,
            StorageType.STORE_THUMBNAILS: ImageStorage.THUMBNAIL,
            StorageType.STORE_FULL_IMAGE: ImageStorage.FULL,
        }[self]


class FrServerPersonItem(FrServerBody):
    """A person of a bulk request."""

    person_id: PersonId = Field(description="Chosen by the caller; unique, case-sensitive.")
    person_name: Name
    face_base_64: Base64 = Field(description="An image with one face.")
    metadata: Metadata | None = Field(None, description="Texts by name; left out: the stored metadata are kept.")

    def fields(self) -> PersonFields:
        """Convert for the gallery."""
        return PersonFields(name=self.person_name, metadata=self.metadata)


class EnrolmentOptions(FrServerBody):
    """Options of an enrolment."""

    collection_name: InCollection
    face_storage_type: StorageType = Field(examples=["StoreThumbnails"])
    check_duplicates: bool = Field(False, description="Refuse a face that another person of the collection has.")
    duplicate_check_min_similarity: Similarity = Field(
        DEFAULT_SIMILARITY, description="Minimum score of the same face; not used without `check_duplicates`."
    )
    check_liveness: bool = Field(False, description=CHECK_LIVENESS)


class FrServerPersonBody(FrServerPersonItem, EnrolmentOptions):
    """A person to create or to update."""


class FrServerPersonsBody(EnrolmentOptions):
    """Persons to create or to update, all in one collection."""

    VALUES_EACH: ClassVar[int] = 250
    """More JSON values than a person has, metadata included."""

    persons: list[FrServerPersonItem] = Field(
        min_length=1, max_length=MOST_IN_A_REQUEST, fail_fast=True, validation_alias=AliasChoices("persons", "Persons")
    )


class UncheckedPersons(FrServerPersonsBody):
    """The same with unchecked persons, so that an invalid person does not stop the others."""

    persons: list[Any] = Field(
        min_length=1, max_length=MOST_IN_A_REQUEST, fail_fast=True, validation_alias=AliasChoices("persons", "Persons")
    )


class FrServerDeletePersonBody(FrServerBody):
    """A person to delete."""

    person_id: PersonId
    collection_name: InCollection


LIVENESS_FAULTS = frozenset(QualityCode) - {QualityCode.FACE_BLURRED}
"""With ``check_liveness`` the vendor refuses an image for each of these, and so do we, as far as they are detected. The
vendor has no code for blur."""


def faults(check_liveness: bool) -> frozenset[QualityCode]:
    """The faults for which the request refuses an image."""
    return LIVENESS_FAULTS if check_liveness else frozenset()
