"""The values that flow through facegraph.

Frozen dataclasses without behaviour beyond what follows from their own fields. Every stage takes and returns these; no
module below ``api/`` knows of HTTP, and none below ``gallery/`` of SQL or Milvus. Coordinates are pixels of the upright
image (EXIF orientation applied), origin at the top left corner. Times are timezone-aware UTC.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")

Pixels = NDArray[np.uint8]
"""An image: uint8, shape (height, width, 3), channels in BGR order."""

Vectors = NDArray[np.float32]
"""Templates: float32, shape (n, dimension), each row of Euclidean norm 1."""


# --- what is seen on a picture ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Box:
    """An axis-aligned rectangle in pixels; it may reach beyond the image."""

    x: float
    y: float
    width: float
    height: float

    @property
    def area(self) -> float:
        """Square pixels."""
        return self.width * self.height


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """What was sent: upright size in pixels, container format (``JPEG``, ``PNG``, ``WEBP``, ``BMP``) and byte count."""

    width: int
    height: int
    format: str
    num_bytes: int


class QualityCode(StrEnum):
    """Why a face may be unfit for enrolment or for a liveness decision (the words that vendors use)."""

    FACE_TOO_SMALL = "FACE_TOO_SMALL"
    FACE_TOO_CLOSE = "FACE_TOO_CLOSE"
    FACE_CLOSE_TO_BORDER = "FACE_CLOSE_TO_BORDER"
    FACE_CROPPED = "FACE_CROPPED"
    FACE_ANGLE_TOO_LARGE = "FACE_ANGLE_TOO_LARGE"
    EYES_CLOSED = "EYES_CLOSED"
    FACE_IS_OCCLUDED = "FACE_IS_OCCLUDED"


@dataclass(frozen=True, slots=True)
class Quality:
    """How much a face's picture can be trusted.

    Attributes:
        value: 0 (useless) to 1 (a good portrait).
        sharpness: variance of the Laplacian of the aligned 112x112 crop, grey levels squared.
        brightness: mean grey level of the aligned crop, 0 to 255.
        eye_distance: distance between the eye centres in pixels of the upright image.
        roll: in-plane rotation in degrees, positive clockwise as seen.
        yaw: left-right rotation in degrees, estimated from the nose's position between the eyes.
        codes: what is wrong with it, if anything.
    """

    value: float
    sharpness: float
    brightness: float
    eye_distance: float
    roll: float
    yaw: float
    codes: frozenset[QualityCode] = frozenset()


@dataclass(frozen=True, slots=True, eq=False)
class DetectedFace:
    """One face of a picture.

    Attributes:
        box: where it is.
        landmarks: float32 (5, 2): right eye, left eye, nose, right and left mouth corner, of the person shown.
        detection_score: 0 to 1.
        quality: see :class:`Quality`.
        crop: the aligned face for the embedder, uint8 (112, 112, 3) BGR.
        liveness_crops: model id -> uint8 crop cut from the original pixels; empty unless liveness was asked for.
    """

    box: Box
    landmarks: NDArray[np.float32]
    detection_score: float
    quality: Quality
    crop: Pixels
    liveness_crops: Mapping[str, Pixels] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Detection:
    """The detector's answer for one picture: faces, largest box first."""

    image: ImageInfo
    faces: tuple[DetectedFace, ...]


@dataclass(frozen=True, slots=True)
class DetectOptions:
    """What the detector is asked for.

    Attributes:
        max_faces: keep only the largest so many; None keeps all.
        liveness: also cut the crops that the liveness models need.
    """

    max_faces: int | None = None
    liveness: bool = False


@dataclass(frozen=True, slots=True)
class Liveness:
    """Presentation attack detection for one face.

    Attributes:
        probability: of a live person, 0 to 1: the mean over the models in use.
        models: model id -> probability.
        threshold: the probability from which on the face counts as live.
    """

    probability: float
    models: Mapping[str, float]
    threshold: float

    @property
    def is_live(self) -> bool:
        """Whether the probability reaches the threshold."""
        return self.probability >= self.threshold


@dataclass(frozen=True, slots=True)
class CheckedFace:
    """A face of a picture with its liveness, None where that was not asked for."""

    face: DetectedFace
    liveness: Liveness | None = None


# --- tenants and keys ------------------------------------------------------------------------------------------------


DEFAULT_TENANT = "0" * 32
"""Id of the tenant that exists from the start."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """Whoever shares an installation without sharing anything else."""

    id: str
    name: str
    created: dt.datetime


class Role(StrEnum):
    """What a key may do; each role includes the ones before it."""

    SEARCH = "search"
    ENROLL = "enroll"
    ADMIN = "admin"

    def allows(self, needed: Role) -> bool:
        """Whether a key with this role may do what needs the role ``needed``."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key without its secret, which is shown once and stored only as a SHA-256 digest."""

    id: str
    tenant_id: str
    name: str
    role: Role
    created: dt.datetime
    expires: dt.datetime | None = None
    rate_limit: float | None = None  # requests per second
    last_used: dt.datetime | None = None


# --- the gallery -----------------------------------------------------------------------------------------------------


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
    """

    liveness: bool = False
    liveness_threshold: float = 0.5
    min_score: float | None = None
    image_storage: ImageStorage = ImageStorage.THUMBNAIL


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
class PersonFields:
    """What is known of a person besides the faces; None leaves a stored value as it is, an empty value clears it."""

    name: str | None = None
    gender: str | None = None
    date_of_birth: dt.date | None = None
    nationality: str | None = None
    id_number: str | None = None
    address: str | None = None
    notes: str | None = None
    watch_list: tuple[str, ...] | None = None
    metadata: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Appearance:
    """How a face looked on its picture.

    Attributes:
        landmarks: five points (x, y) in pixels, in the order of :class:`DetectedFace`.
        sharpness, roll, yaw: as in :class:`Quality`.
    """

    landmarks: tuple[tuple[float, float], ...]
    sharpness: float
    roll: float
    yaw: float

    @classmethod
    def of(cls, face: DetectedFace) -> Appearance:
        """From a detection."""
        landmarks = tuple((float(x), float(y)) for x, y in face.landmarks)
        return cls(landmarks, face.quality.sharpness, face.quality.roll, face.quality.yaw)


@dataclass(frozen=True, slots=True)
class Face:
    """An enrolled face. Its template never leaves the gallery except through ``embed`` and ``export``.

    Attributes:
        id: 32 hex digits.
        person_id: the external id of its person; None for a face that stands for itself.
        image_id: 32 hex digits; faces of one photograph share it.
        model: id of the embedder that made the template.
        storage: what was kept of the photograph.
        expires: when an unattached face is removed; None for never.
        user_id: free text that a client attached to a face without a person (Face++).
        liveness: probability of a live person at enrolment, 0 to 1; None when that was not checked.
        appearance: None where that was not kept.
    """

    id: str
    person_id: str | None
    image_id: str
    box: Box
    quality: float
    detection_score: float
    model: str
    storage: ImageStorage
    created: dt.datetime
    expires: dt.datetime | None = None
    user_id: str = ""
    liveness: float | None = None
    appearance: Appearance | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """Someone enrolled. ``id`` is the caller's own, 1 to 100 characters, unique within the tenant."""

    id: str
    name: str
    gender: str
    date_of_birth: dt.date | None
    nationality: str
    id_number: str
    address: str
    notes: str
    watch_list: tuple[str, ...]
    metadata: Mapping[str, str]
    collections: tuple[str, ...]  # names
    faces: tuple[Face, ...]
    created: dt.datetime
    modified: dt.datetime


@dataclass(frozen=True, slots=True, eq=False)
class NewFace:
    """A face on its way into the gallery.

    Attributes:
        template: float32 (dimension,), unit norm.
        model: id of the embedder that made it.
        thumbnail: the aligned crop as JPEG bytes; None when the storage policy keeps nothing.
        photograph: the image as sent; None unless the storage policy keeps it.
        liveness: probability of a live person, None when not checked.
        appearance: None keeps nothing of it.
    """

    template: NDArray[np.float32]
    model: str
    image_id: str
    box: Box
    quality: float
    detection_score: float
    storage: ImageStorage
    thumbnail: bytes | None = None
    photograph: bytes | None = None
    liveness: float | None = None
    appearance: Appearance | None = None


@dataclass(frozen=True, slots=True)
class PersonUpdate:
    """What changes of a person, all of it or nothing.

    Attributes:
        fields: None leaves a value as it is.
        clear_date_of_birth: forget it; the texts are cleared by empty ones.
        collections: names of all that the person shall be in, which may be none; None leaves them.
        removed_faces: ids of faces that go.
        replace_faces: all present faces go.
        new_faces: faces that come.
        min_faces, max_faces: removing must leave so many, adding may lead to so many; None for any number.
    """

    fields: PersonFields = field(default_factory=PersonFields)
    clear_date_of_birth: bool = False
    collections: tuple[str, ...] | None = None
    removed_faces: tuple[str, ...] = ()
    replace_faces: bool = False
    new_faces: tuple[NewFace, ...] = ()
    min_faces: int = 0
    max_faces: int | None = None


class PersonOrder(StrEnum):
    """What a listing of persons is ordered by; persons without a value come last, equal ones by id."""

    NAME = "name"
    DATE_OF_BIRTH = "date_of_birth"
    GENDER = "gender"
    NATIONALITY = "nationality"
    CREATED = "created"
    MODIFIED = "modified"


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a listing; ``cursor`` fetches the next one, None on the last."""

    items: tuple[T, ...]
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Slice(Generic[T]):
    """Part of a listing by position; ``total`` is the length of the whole."""

    items: tuple[T, ...]
    total: int


@dataclass(frozen=True, slots=True)
class EnrolledFace:
    """A face with whom it belongs to, None for a face that stands for itself."""

    face: Face
    person: Person | None


@dataclass(frozen=True, slots=True)
class LooseFacesChange:
    """What became of faces without a person that were to join or leave a collection.

    Attributes:
        collection: as it is afterwards.
        changed: ids of the faces that joined or left.
        unknown: ids that are no such face, or, when leaving, none in the collection.
        refused: ids of faces that found no room.
    """

    collection: Collection
    changed: tuple[str, ...]
    unknown: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Task:
    """The record of work that was done on request, for whoever asks later; ``result`` is JSON-ready."""

    id: str
    kind: str
    result: Mapping[str, Any]
    created: dt.datetime


@dataclass(frozen=True, slots=True)
class RegisteredFaces:
    """The faces of a picture, stored without a person, largest first; ``seen`` says where each was."""

    image: ImageInfo
    image_id: str
    faces: tuple[Face, ...]
    seen: tuple[DetectedFace, ...]


@dataclass(frozen=True, slots=True)
class Deletion:
    """What a deletion removed: persons and faces that exist nowhere any more, and whether the thing itself is gone."""

    persons: int = 0
    faces: int = 0
    erased: bool = False


# --- searching -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ThresholdRequest:
    """How strict a search shall be: at most one of the two, neither means FPIR 1 % or the collection's own policy.

    Attributes:
        min_score: calibrated score, 0 to 1.
        fpir: accepted share of searches by unknown people that return anyone, over 0 and below 1.
    """

    min_score: float | None = None
    fpir: float | None = None


@dataclass(frozen=True, slots=True)
class Threshold:
    """The threshold that was used and what it means.

    Attributes:
        min_score: calibrated score, 0 to 1.
        fmr: expected share of false matches among comparisons with other people's faces.
        fpir: expected share of searches by unknown people that return anyone, at this gallery's size.
        gallery_size: number of faces compared with.
    """

    min_score: float
    fmr: float
    fpir: float
    gallery_size: int


@dataclass(frozen=True, slots=True, eq=False)
class GalleryQuery:
    """A search in the gallery.

    Attributes:
        probes: float32 (n, dimension), one row per face looked for.
        model: id of the embedder that made them.
        collections: names, at least one; None searches everybody, also persons in no collection.
        max_results: persons per probe, at least 1.
        liveness_threshold: the probability that every probe was found to reach, None when that was not checked; a
            collection's policy may demand one.
        persons_only: leave out faces without a person.
    """

    probes: Vectors
    model: str
    collections: tuple[str, ...] | None
    max_results: int
    threshold: ThresholdRequest = ThresholdRequest()
    liveness_threshold: float | None = None
    persons_only: bool = False


@dataclass(frozen=True, slots=True)
class Match:
    """One answer of a search: a person by the best face, or a face without a person that stands for itself.

    Attributes:
        score: calibrated, 0 to 1.
        distance: cosine distance, 0 (same direction) to 2.
    """

    collection: str  # its name; empty for a person in none
    person: Person | None
    face: Face
    score: float
    distance: float


@dataclass(frozen=True, slots=True)
class GalleryAnswer:
    """Matches for each probe in the order asked, best first, no person twice.

    Attributes:
        liveness_threshold: what the strictest policy of the searched collections demands; None if none does.
    """

    matches: tuple[tuple[Match, ...], ...]
    threshold: Threshold
    liveness_threshold: float | None = None


@dataclass(frozen=True, slots=True)
class SearchedFace:
    """A face of the probe image with who it may be. ``face`` is None when the search was by an enrolled face's id."""

    face: DetectedFace | None
    liveness: Liveness | None
    matches: tuple[Match, ...]


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The answer to a search; ``timings`` maps a step's name to milliseconds."""

    image: ImageInfo | None
    faces: tuple[SearchedFace, ...]
    model: str
    threshold: Threshold
    timings: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two faces compared, or one face against a person.

    Attributes:
        score: calibrated, 0 to 1.
        fmr: share of pairs of different people that reach this score.
        is_match: whether the score reaches ``min_score``.
    """

    score: float
    distance: float
    fmr: float
    is_match: bool
    min_score: float
    first: DetectedFace
    second: DetectedFace | None = None
    liveness: Liveness | None = None
    face_id: str | None = None  # the person's best face, when compared with a person


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What an enrolment did."""

    person: Person
    created: bool
    faces: tuple[Face, ...]  # the faces that it added
