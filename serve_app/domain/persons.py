"""Persons and enrolled faces."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from serve_app.domain.collections import Collection, ImageStorage
from serve_app.domain.pictures import Box, DetectedFace, ImageInfo


@dataclass(frozen=True, slots=True)
class Consent:
    """Legal basis on which a person's data are kept.

    Attributes:
        basis: for example "explicit consent" or "employment contract".
        reference: reference to the proof, such as a document number.
        given: time at which it was given.
        expires: time from which the person is erased; None for never.
    """

    basis: str
    reference: str = ""
    given: dt.datetime | None = None
    expires: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class PersonFields:
    """A person's data besides the faces. None leaves a stored value unchanged, an empty value clears it."""

    name: str | None = None
    gender: str | None = None
    date_of_birth: dt.date | Literal[""] | None = None
    nationality: str | None = None
    id_number: str | None = None
    address: str | None = None
    notes: str | None = None
    watch_list: tuple[str, ...] | None = None
    consent: Consent | None = None  # a consent with an empty basis clears the stored one
    metadata: Mapping[str, str] | None = None


CLEARED: Mapping[str, Any] = {
    **dict.fromkeys(("name", "gender", "date_of_birth", "nationality", "id_number", "address", "notes"), ""),
    "watch_list": [],
    "consent": {"basis": ""},
    "metadata": {},
}
"""The value of each field in a request that clears it; null stands for it."""


@dataclass(frozen=True, slots=True)
class Appearance:
    """Pose and sharpness of a face on its image.

    Attributes:
        landmarks: five points (x, y) in pixels, in the order of :class:`DetectedFace`.
        sharpness, roll, yaw: as in :class:`Quality`.
    """

    landmarks: tuple[tuple[float, float], ...]
    sharpness: float
    roll: float
    yaw: float

    @property
    def turned(self) -> int:
        """As in :class:`DetectedFace`: the quarter turn nearest to the roll, of which the rest is the head's own."""
        return round(self.roll / 90) % 4 * 90

    @classmethod
    def of(cls, face: DetectedFace) -> Appearance:
        """The appearance of a detected face."""
        landmarks = tuple((float(x), float(y)) for x, y in face.landmarks)
        return cls(landmarks, face.quality.sharpness, face.quality.roll, face.quality.yaw)


@dataclass(frozen=True, slots=True)
class Face:
    """An enrolled face. Its template never leaves the gallery except through ``embed`` and ``export``.

    Attributes:
        id: 32 hex digits.
        person_id: the caller's id of the person; None for an unassigned face.
        image_id: 32 hex digits; faces of one image share it.
        box: position in the image, in pixels.
        quality: ``value`` of :class:`Quality`, 0 to 1.
        detection_score: 0 to 1.
        model: id of the embedder that made the template.
        storage: what was kept of the image.
        created: time of enrolment.
        expires: time at which an unassigned face is removed; None for never.
        user_id: free text that a client attached to an unassigned face (Face++).
        liveness: probability of a live person at enrolment, 0 to 1; None if it was not checked.
        appearance: None if it was not kept.
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
    """An enrolled person. ``id`` is chosen by the caller: 1 to 100 characters, unique within the tenant."""

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
    consent: Consent | None = None


@dataclass(frozen=True, slots=True, eq=False)
class NewFace:
    """A face to be enrolled; fields without a description here are as in :class:`Face`.

    Attributes:
        template: float32 (dimension,), unit norm.
        model: id of the embedder that made the template.
        thumbnail: the aligned crop as JPEG bytes; None if the storage policy keeps no images.
        photograph: the image as sent; None unless the storage policy keeps it.
        liveness: probability of a live person; None if it was not checked.
        appearance: None stores none.
        further: secondary templates, model id -> template by another embedder, while the default embedder changes.
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
    further: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PersonUpdate:
    """A change of a person, applied completely or not at all.

    Attributes:
        fields: a field that is None stays unchanged.
        collections: names of all collections that the person will be in, possibly none; None leaves them unchanged.
        removed_faces: ids of faces to remove.
        replace_faces: remove all present faces.
        new_faces: faces to add.
        min_faces: number of faces that must be left after removing faces.
        max_faces: number of faces that must not be exceeded by adding faces; None for any number.
    """

    fields: PersonFields = field(default_factory=PersonFields)
    collections: tuple[str, ...] | None = None
    removed_faces: tuple[str, ...] = ()
    replace_faces: bool = False
    new_faces: tuple[NewFace, ...] = ()
    min_faces: int = 0
    max_faces: int | None = None


@dataclass(frozen=True, slots=True)
class EnrolledFace:
    """A face with its person; ``person`` is None for an unassigned face."""

    face: Face
    person: Person | None


@dataclass(frozen=True, slots=True)
class UnassignedFacesChange:
    """Result of adding unassigned faces to a collection, or removing them from it.

    Attributes:
        collection: the collection afterwards.
        changed: ids of the faces that were added or removed.
        unknown: ids that do not name an unassigned face or, for a removal, one in the collection.
        refused: ids of faces that were not added because the collection is full.
    """

    collection: Collection
    changed: tuple[str, ...]
    unknown: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RegisteredFaces:
    """The faces of an image, stored as unassigned faces, largest first; ``seen`` has the detection of each."""

    image: ImageInfo
    image_id: str
    faces: tuple[Face, ...]
    seen: tuple[DetectedFace, ...]
