"""What an archive may contain: a model of each kind of record, by the rules that hold for requests.

The models of tables have the tables' columns. A column without a default was there when the first archive was written.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from serve_app.domain import CollectionKind, ImageStorage, Role
from serve_app.domain.collections import MAX_KEEP_UNKNOWN_H, RETENTION_DAYS
from serve_app.domain.names import MAX_NAME
from serve_app.domain.texts import in_utc, no_control, no_number, one_line
from serve_app.gallery import checks
from serve_app.gallery.sql.records.collections import POOL
from serve_app.gallery.sql.records.faces import TEMPLATE_TYPE
from serve_app.gallery.sql.records.statements import search_text


class Record(BaseModel):
    """A JSON object of an archive; nothing is converted."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, allow_inf_nan=False, val_json_bytes="base64", use_enum_values=True
    )


def _template(stored: bytes) -> bytes:
    size = len(stored) // TEMPLATE_TYPE.itemsize
    if len(stored) % TEMPLATE_TYPE.itemsize or not checks.FEWEST_DIMENSIONS <= size <= checks.MOST_DIMENSIONS:
        raise ValueError(
            f"a template of {checks.FEWEST_DIMENSIONS} to {checks.MOST_DIMENSIONS} numbers was expected, got "
            f"{len(stored)} bytes"
        )
    if not checks.are_templates(np.frombuffer(stored, TEMPLATE_TYPE)):
        raise ValueError("a template of norm 1 was expected")
    return stored


Id = Annotated[str, Field(pattern=f"^{checks.HEX_ID.pattern}$")]
Time = Annotated[AwareDatetime, Field(strict=False), BeforeValidator(no_number), AfterValidator(in_utc)]
Date = Annotated[dt.date, Field(strict=False), BeforeValidator(no_number)]
Name = Annotated[str, Field(pattern=rf"^[A-Za-z0-9_.-]{{1,{MAX_NAME}}}$")]
"""Of a tenant or collection; earlier versions allowed the names . and .."""

CollectionName = Annotated[str, Field(pattern=rf"^([A-Za-z0-9_.-]{{1,{MAX_NAME}}}|{re.escape(POOL)})$")]
Text = Annotated[str, AfterValidator(no_control)]
Whole = Annotated[int, Field(ge=0, le=2**31 - 1)]
Share = Annotated[float, Field(ge=0, le=1.0001)]
"""From 0 to 1, as models compute it."""

Pixels = Annotated[float, Field(ge=-1e6, le=1e6)]
Side = Annotated[float, Field(ge=0, le=1e6)]
Degrees = Annotated[float, Field(ge=-360, le=360)]


class Manifest(Record):
    """``manifest.json``"""

    format: int
    facegraph: str = Field(max_length=100)
    created: Time


class Row(Record):
    """A row of a table."""

    id: Id

    def columns(self) -> dict[str, Any]:
        """The columns of the row to insert."""
        return {
            name: value.model_dump(mode="json", exclude_none=True) if isinstance(value, BaseModel) else value
            for name, value in self
        }


class Erased(Row):
    """A tombstone."""

    tenant_id: Id
    kind: Literal["collection", "person", "face"]
    created: Time


class Tenant(Row):
    """A tenant."""

    name: Name
    created: Time


class Key(Row):
    """An API key."""

    tenant_id: Id
    name: Text = Field(max_length=checks.LONGEST_KEY_NAME)
    role: Role
    digest: str = Field(pattern="^[0-9a-f]{64}$")
    installed: bool
    rate_limit: float | None = Field(gt=0)
    created: Time
    expires: Time | None
    revoked: Time | None
    last_used: Time | None


class Collection(Row):
    """A collection, or a tenant's pool."""

    tenant_id: Id
    name: CollectionName
    title: Text = Field(max_length=checks.COLLECTION_TEXTS["title"])
    description: Text = Field(max_length=checks.COLLECTION_TEXTS["description"])
    search_text: str
    kind: CollectionKind
    tags: list[Annotated[Text, Field(max_length=checks.LONGEST_TAG)]] = Field(max_length=checks.MOST_TAGS)
    user_data: Text = Field(max_length=checks.COLLECTION_TEXTS["user_data"])
    liveness: bool
    liveness_threshold: float = Field(ge=0, le=1)
    min_score: float | None = Field(ge=0, le=1)
    image_storage: ImageStorage
    retention_days: float | None = Field(None, ge=RETENTION_DAYS[0], le=RETENTION_DAYS[1])
    reject_below: float = Field(0.0, ge=0, le=1)
    keep_unknown_h: int = Field(0, ge=0, le=MAX_KEEP_UNKNOWN_H)
    person_count: Whole
    face_count: Whole
    created: Time
    modified: Time

    def columns(self) -> dict[str, Any]:
        """See the base class. The counts are those of a collection without members."""
        sought = "" if self.name == POOL else search_text(self.name, self.title)
        return {**super().columns(), "search_text": sought, "person_count": 0, "face_count": 0}


class ConsentRecord(Record):
    """A person's consent."""

    basis: Text = Field(max_length=checks.CONSENT_TEXTS["basis"])
    reference: Text = Field(max_length=checks.CONSENT_TEXTS["reference"])
    given: Time | None = None
    expires: Time | None = None


class PersonRow(Row):
    """A person."""

    tenant_id: Id
    external_id: Annotated[str, AfterValidator(one_line)] = Field(min_length=1, max_length=checks.LONGEST_PERSON_ID)
    name: Text = Field(max_length=checks.PERSON_TEXTS["name"])
    gender: Text = Field(max_length=checks.PERSON_TEXTS["gender"])
    date_of_birth: Date | None
    nationality: Text = Field(max_length=checks.PERSON_TEXTS["nationality"])
    id_number: Text = Field(max_length=checks.PERSON_TEXTS["id_number"])
    address: Text = Field(max_length=checks.PERSON_TEXTS["address"])
    notes: Text = Field(max_length=checks.PERSON_TEXTS["notes"])
    watch_list: list[Annotated[Text, Field(max_length=checks.LONGEST_WATCH_LIST)]] = Field(
        max_length=checks.MOST_WATCH_LISTS
    )
    metadata: dict[
        Annotated[Text, Field(max_length=checks.LONGEST_METADATA_KEY)],
        Annotated[Text, Field(max_length=checks.LONGEST_METADATA)],
    ] = Field(max_length=checks.MOST_METADATA)
    consent: ConsentRecord | None = None
    consent_expires: Time | None = None
    search_text: str
    created: Time
    modified: Time

    def columns(self) -> dict[str, Any]:
        """See the base class."""
        expires = None if self.consent is None else self.consent.expires
        sought = search_text(self.external_id, self.name)
        return {**super().columns(), "search_text": sought, "consent_expires": expires}


class AppearanceRecord(Record):
    """Pose and sharpness of a face."""

    landmarks: list[tuple[Pixels, Pixels]] = Field(min_length=5, max_length=5)
    sharpness: float
    roll: Degrees
    yaw: Degrees


class FaceRow(Row):
    """A face with its template."""

    tenant_id: Id
    person_id: Id | None
    position: Whole
    image_id: Id
    model: str = Field(pattern=f"^{checks.MODEL_ID.pattern}$")
    template: Annotated[bytes, AfterValidator(_template)]
    box_x: Pixels
    box_y: Pixels
    box_width: Side
    box_height: Side
    quality: Share
    detection_score: Share
    liveness: Share | None
    storage: ImageStorage
    has_thumbnail: bool
    has_photograph: bool
    user_id: Text = Field(max_length=checks.LONGEST_USER_ID)
    created: Time
    expires: Time | None
    appearance: AppearanceRecord | None = None


class Face(Record):
    """A face with the ids of its collections."""

    face: FaceRow
    collections: list[Id]


class Person(Record):
    """A person with faces, or an unassigned face.

    ``distinct`` has the ids of persons of earlier lines from whom the person was told apart.
    """

    person: PersonRow | None = None
    collections: list[Id] = []
    distinct: list[Id] = []
    faces: list[Face]

    @property
    def tenant_id(self) -> str:
        """The tenant of the person, or of the unassigned face."""
        return self.faces[0].face.tenant_id if self.person is None else self.person.tenant_id


HEAD: dict[str, type[Row]] = {"erased": Erased, "tenants": Tenant, "keys": Key, "collections": Collection}
"""Member -> model of its lines; these members come first, in this order."""


def known_names(model: type[BaseModel]) -> frozenset[str]:
    """Names of the fields of a model and of the models in it."""
    inner = (each for field in model.model_fields.values() for each in _models_in(field.annotation))
    return frozenset(model.model_fields).union(*(known_names(each) for each in inner))


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [each for part in getattr(annotation, "__args__", ()) for each in _models_in(part)]
