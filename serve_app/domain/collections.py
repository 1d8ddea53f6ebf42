"""Collections and their policies."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from enum import StrEnum

from serve_app.domain.privacy import ErasureReceipt


class ImageStorage(StrEnum):
    """What is stored of an enrolled image."""

    NONE = "none"
    THUMBNAIL = "thumbnail"  # the aligned 112x112 crop: enough to re-embed with another model
    FULL = "full"  # the thumbnail and the image as sent


class CollectionKind(StrEnum):
    """Whether a collection is an internal or an external list."""

    INTERNAL = "INTERNAL"
    EXTERNAL = "EXTERNAL"


RETENTION_DAYS = (0.001, 36_500)
"""Bounds of a policy's ``retention_days``."""

MAX_KEEP_UNKNOWN_H = 24 * 366
"""Largest ``keep_unknown_h`` of a policy."""


@dataclass(frozen=True, slots=True)
class CollectionPolicy:
    """Rules of one collection.

    Attributes:
        liveness: whether enrolment and search refuse faces that are not live.
        liveness_threshold: probability of a live person, 0 to 1, from which a face counts as live.
        min_score: calibrated score from which a search in this collection reports a match; None decides by FPIR.
        image_storage: what enrolment stores of an image.
        retention_days: days after which unchanged persons and unassigned faces are removed; None for never.
        reject_below: quality, 0 to 1, below which enrolment refuses a face; 0 refuses none.
        keep_unknown_h: hours that searches may keep faces for which no person is found; 0 forbids keeping them.
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
    """A named set of persons and unassigned faces that searches run over."""

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
    """A collection to be created; the name is unique within the tenant."""

    name: str
    title: str = ""
    description: str = ""
    kind: CollectionKind = CollectionKind.INTERNAL
    tags: tuple[str, ...] = ()
    user_data: str = ""
    policy: CollectionPolicy = field(default_factory=CollectionPolicy)


@dataclass(frozen=True, slots=True)
class Deletion:
    """Result of a deletion.

    Attributes:
        persons, faces: number of persons and faces that were erased completely.
        erased: whether the object of the request was erased completely, not only removed from a collection.
        receipt: present if named persons were erased.
    """

    persons: int = 0
    faces: int = 0
    erased: bool = False
    receipt: ErasureReceipt | None = field(default=None, compare=False)  # each receipt is unique
