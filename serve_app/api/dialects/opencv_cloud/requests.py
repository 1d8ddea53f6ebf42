"""Request bodies and query parameters of the OpenCV cloud dialect.

Unknown fields are ignored and numbers are also read from texts, because clients send both.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Literal, TypeVar

from fastapi import Query, Request
from pydantic import ConfigDict, Field, ValidationError

from serve_app.api.api_context import ApiContext
from serve_app.api.dialects.opencv_cloud.errors import SchemaRefused
from serve_app.api.errors import MAX_FINDINGS
from serve_app.api.parsing import parsed
from serve_app.api.request_images import all_of
from serve_app.api.schemas.base import Body, Date, ImageText, PersonId, Plain, Reference
from serve_app.domain import PersonFields, PersonOrder

MATCH_SCORE = 0.81
"""The vendor's minimum score of a match; the default of every search."""

LIVE_SCORE = 0.5
MAX_SET = 3

EXAMPLE_PICTURE = "/9j/4A=="
EXAMPLE_ID = "5f0c6d7e-8a9b-4c1d-8e2f-3a4b5c6d7e8f"


class CloudBody(Body):
    """A request body."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False, frozen=True)


B = TypeVar("B", bound=CloudBody)


async def read(request: Request, model: type[B]) -> B:
    """Read the request's JSON body. Raises SchemaRefused or RequestTooLarge."""
    content = await request.body() or b"{}"
    return await parsed(len(content), _checked, model, content)


def _checked(model: type[B], content: bytes) -> B:
    try:
        return model.from_json(content)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        detail = [{"loc": ["body", *e["loc"]], "msg": e["msg"], "type": e["type"]} for e in found[:MAX_FINDINGS]]
        text = "; ".join(f"{'.'.join(map(str, finding['loc']))}: {finding['msg']}" for finding in detail)
        raise SchemaRefused(text, detail=detail) from None


async def pictures(context: ApiContext, texts: Sequence[str] | None) -> list[bytes]:
    """The images of a set. Raises ImageError with ``details["image"]``, the position from 0."""
    return await all_of(context, [("image_base64", text) for text in texts or ()])


class CloudSearchMode(StrEnum):
    """Accepted and ignored: every search is accurate."""

    FAST = "FAST"
    ACCURATE = "ACCURATE"


class CloudDevice(StrEnum):
    """Accepted and ignored: the liveness models are the same for all cameras."""

    DESKTOP = "DESKTOP"
    ANDROID = "ANDROID"
    IOS = "IOS"


class CloudGender(StrEnum):
    """Gender codes of the vendor."""

    M = "M"
    F = "F"


Picture = Annotated[ImageText, Field(description="An image as base64.", examples=["/9j/4AAQSkZJRgABAQAAAQABAAD..."])]
PictureSet = Annotated[
    list[Picture], Field(min_length=1, max_length=MAX_SET, fail_fast=True, description="Images of one person.")
]
References = Annotated[list[Reference], Field(max_length=1000, fail_fast=True)]
CollectionId = Annotated[str, Field(min_length=36, max_length=36, examples=[EXAMPLE_ID], description="A UUID.")]
CollectionName = Annotated[str, Field(min_length=1, max_length=50, examples=["Visitors of 2026"]), Plain]
Description = Annotated[str, Field(max_length=100), Plain]
Share = Annotated[float, Field(ge=0, le=1, description="0 to 1; can be sent as a text.")]
LiveSearchScore = Annotated[float, Field(ge=0.7, le=1, description="0.7 to 1; can be sent as a text.")]


class CloudNewCollection(CloudBody):
    """A collection to create."""

    name: CollectionName
    description: Description | None = None


class CloudCollectionChanges(CloudBody):
    """Changes to a collection. Fields that are left out keep their values."""

    id: CollectionId
    name: CollectionName | None = None
    description: Description | None = None


class CloudLink(CloudBody):
    """A person and a collection."""

    collection_id: CollectionId
    person_id: PersonId


class CloudLinks(CloudBody):
    """Persons to add to a collection and persons to remove from it."""

    collection_id: CollectionId
    new_person_ids: References | None = None
    removed_person_ids: References | None = None


class CloudPersonFields(CloudBody):
    """Data about a person."""

    name: Annotated[str, Field(min_length=1, max_length=100), Plain] | None = None
    gender: CloudGender | None = None
    date_of_birth: Date | None = None
    nationality: Annotated[str, Field(max_length=100), Plain] | None = None
    notes: Annotated[str, Field(max_length=500), Plain] | None = None
    collections: References | None = Field(None, description="Ids of all collections of the person.")

    def to_fields(self) -> PersonFields:
        """Convert for the gallery: fields that are left out keep their values, null empties them."""

        def given(name: str) -> str | None:
            return str(getattr(self, name) or "") if name in self.model_fields_set else None

        return PersonFields(
            name=given("name"),
            gender=given("gender"),
            date_of_birth=self.date_of_birth or ("" if "date_of_birth" in self.model_fields_set else None),
            nationality=given("nationality"),
            notes=given("notes"),
        )


class CloudNewPerson(CloudPersonFields):
    """A person to enrol."""

    id: PersonId | None = Field(None, description="Generated if left out.")
    images: PictureSet
    is_bulk_insert: bool | None = Field(False, description="Accepted and ignored.")


class CloudPersonChanges(CloudPersonFields):
    """Changes to a person; images replace the stored ones."""

    id: PersonId
    images: PictureSet | None = None


class CloudPersonAndImages(CloudPersonFields):
    """Changes to a person and the person's images."""

    id: PersonId
    new_images: PictureSet | None = None
    removed_thumbnail_ids: Annotated[References, Field(min_length=1)] | None = None


class CloudNewImages(CloudBody):
    """Further images of a person."""

    person_id: PersonId
    images: PictureSet


class CloudPersonsAction(CloudBody):
    """An action on several persons."""

    action: Literal["DELETE"]
    person_ids: References = Field(min_length=1)


class CloudSearchOptions(CloudBody):
    """Options of a search."""

    collection_id: CollectionId | None = Field(None, description="Left out: all persons are searched.")
    max_results: Annotated[int, Field(ge=1, le=100)] | None = 10
    min_score: Share | None = MATCH_SCORE
    search_mode: CloudSearchMode | None = CloudSearchMode.FAST


class CloudSearch(CloudSearchOptions):
    """A search for one person."""

    images: PictureSet
    max_results: Annotated[int, Field(ge=1, le=500)] | None = 10


class CloudLiveSearch(CloudSearchOptions):
    """A search for one person who is in front of the camera."""

    image: Picture
    os: CloudDevice | None = CloudDevice.DESKTOP
    min_score: LiveSearchScore | None = MATCH_SCORE


class CloudDetect(CloudBody):
    """An image whose faces are detected and, with `search`, searched for."""

    image: Picture
    search: CloudSearchOptions | None = None


class CloudVerify(CloudBody):
    """A person, and images to compare with the person."""

    id: PersonId
    images: list[Picture] = Field(min_length=1, max_length=20, fail_fast=True)
    min_score: Share | None = MATCH_SCORE
    verification_mode: CloudSearchMode | None = CloudSearchMode.ACCURATE


class CloudCompare(CloudBody):
    """Two sets of images, each of one person."""

    probe: PictureSet
    gallery: PictureSet
    search_mode: CloudSearchMode | None = CloudSearchMode.FAST


class CloudCompareLive(CloudBody):
    """An image from a camera, and a set of images of one person."""

    probe: Picture
    gallery: PictureSet
    os: CloudDevice | None = CloudDevice.DESKTOP
    search_mode: CloudSearchMode | None = CloudSearchMode.FAST
    liveness_min_score: Share | None = LIVE_SCORE


class CloudLiveness(CloudBody):
    """An image from a camera."""

    image: Picture
    os: CloudDevice | None = CloudDevice.DESKTOP


class CloudHeadCount(CloudBody):
    """An image whose faces are counted."""

    image: Picture
    confidence: Annotated[int, Field(ge=1, le=99)] | None = Field(75, description="Detection score in per cent.")


class CloudOrder(StrEnum):
    """Direction of a listing."""

    ASC = "ASC"
    DESC = "DESC"


class CloudOrderBy(StrEnum):
    """Sort key of a listing of persons."""

    NAME = "name"
    DATE_OF_BIRTH = "date_of_birth"
    GENDER = "gender"
    NATIONALITY = "nationality"
    MODIFIED_DATE = "modified_date"
    CREATE_DATE = "create_date"

    def to_domain(self) -> PersonOrder:
        """Convert for the gallery."""
        return PersonOrder({"modified_date": "modified", "create_date": "created"}.get(self, str(self)))


SearchText = Annotated[
    Annotated[str, Field(max_length=200), Plain] | None, Field(description="Only items whose name or id contains it.")
]


class _Listing(CloudBody):
    skip: int = Field(0, ge=0, le=10**9, description="Number of items to skip.")
    take: int = Field(20, ge=0, le=100, description="Maximum number of items.")
    order: CloudOrder = Field(CloudOrder.ASC, description="Direction.")


class CloudListing(_Listing):
    """Query parameters of a listing of collections."""

    search: SearchText = None


class CloudPersonListing(_Listing):
    """Query parameters of a listing of persons."""

    order_by: CloudOrderBy = Field(CloudOrderBy.NAME, description="Sort key; persons without a value come last.")
    search: SearchText = None


Listing = Annotated[CloudListing, Query()]
PersonListing = Annotated[CloudPersonListing, Query()]
