"""Collections and their rules."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from enum import StrEnum

from serve_app.domain.privacy import ErasureReceipt


class ImageStorage(StrEnum):
    """What is kept of an enrolled photograph."""

    NONE = "none"
    THUMBNAIL = "thumbnail"  # the aligned 112x112 crop: enough to re-embed with another model
    FULL = "full"  # the thumbnail and the photograph as sent


class CollectionKind(StrEnum):
    """Whose list a collection is."""

    INTERNAL = "INTERNAL"
    EXTERNAL = "EXTERNAL"


@dataclass(frozen=True, slots=True)
class CollectionPolicy:
    """Rules of one collection.

    Attributes:
        liveness: whether enrolment and search refuse faces that are not live.
        liveness_threshold: probability, 0 to 1.
        min_score: calibrated score from which on a search in this collection reports a match; None: by FPIR.
        image_storage: what enrolment keeps.
        retention_days: after which persons who were not changed, and faces without a person, go; None for never.
        reject_below: quality, 0 to 1, below which enrolment refuses a face; 0 refuses none.
        keep_unknown_h: hours for which searches may keep faces that nobody is found for; 0: they may not.
    """

    liveness: bool = False
    liveness_threshold: float = 0.5
    min_score: float | None = None
    image_storage: ImageStorage = ImageStorage.THUMBNAIL
    retention_days: float | None = None
    reject_below: float = 0.0
    keep_unknown_h: int = 0


@dataclass(frozen=True, slots=True)
class Collection:
    """A named set of persons (and of faces without a person) that searches run over."""

    id: str
    tenant_id: str
    name: str
    title: str
    description: str
    kind: CollectionKind
    tags: tuple[str, ...]
    user_data: str
    policy: CollectionPolicy
    person_count: int
    face_count: int
    created: dt.datetime
    modified: dt.datetime


@dataclass(frozen=True, slots=True)
class NewCollection:
    """What it takes to create a collection; the name is unique within the tenant."""

    name: str
    title: str = ""
    description: str = ""
    kind: CollectionKind = CollectionKind.INTERNAL
    tags: tuple[str, ...] = ()
    user_data: str = ""
    policy: CollectionPolicy = field(default_factory=CollectionPolicy)


@dataclass(frozen=True, slots=True)
class Deletion:
    """What a deletion removed: persons and faces that exist nowhere any more, and whether the thing itself is gone.

    ``receipt`` is there when named persons were erased.
    """

    persons: int = 0
    faces: int = 0
    erased: bool = False
    receipt: ErasureReceipt | None = field(default=None, compare=False)  # no two are alike
