"""Request bodies of the FR Server dialect.

A field with a default may be left out or null. Unknown fields are ignored: other versions of a client may send them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import AliasChoices, ConfigDict, Field, model_validator

from serve_app.api.schemas.base import Body, CollectionName, NewCollectionName, PersonId, Text
from serve_app.api.schemas.persons import Metadata
from serve_app.domain import ImageStorage, PersonFields, QualityCode

Base64 = Annotated[str, Field(min_length=1, examples=["U2Vjb25kIGltYWdl"])]
Similarity = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[Text, Field(max_length=200, examples=["Ada Lovelace"])]
InCollection = Annotated[CollectionName, Field(examples=["MyCollection"])]

DEFAULT_SIMILARITY = 0.7
EXAMPLE_BASE64 = "U2Vjb25kIGltYWdl"

CHECK_LIVENESS = "Refuse the picture with 412 unless its one face is fit for a liveness check and live."
MIN_SIMILARITY = "0.7 confirms a match; 0.67 suits pictures of the same person that are years apart."


class FrServerBody(Body):
    """A request's body."""

    model_config = ConfigDict(extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _null_is_left_out(cls, sent: Any) -> Any:
        return {name: value for name, value in sent.items() if value is not None} if isinstance(sent, dict) else sent


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


class FrServerNewCollectionBody(FrServerBody):
    """A collection to create."""

    name: NewCollectionName


class FrServerCollectionBody(FrServerBody):
    """A collection to delete."""

    name: CollectionName


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


LIVENESS_FAULTS = frozenset(QualityCode) - {QualityCode.FACE_BLURRED}
"""With ``check_liveness`` the vendor refuses a picture for each of these, and so do we for those that are seen; it has
no word for blur."""

NO_FAULTS: frozenset[QualityCode] = frozenset()


def faults(check_liveness: bool) -> frozenset[QualityCode]:
    """What makes a picture unfit for the request."""
    return LIVENESS_FAULTS if check_liveness else NO_FAULTS
