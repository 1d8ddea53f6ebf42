"""Persons and their faces."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from serve_app.domain.collections import Collection, ImageStorage
from serve_app.domain.pictures import Box, DetectedFace, ImageInfo


@dataclass(frozen=True, slots=True)
class Consent:
    """On what ground a person's data are kept.

    Attributes:
        basis: as in "explicit consent", "employment contract".
        reference: where the proof is: a document's number, say.
        given: when.
        expires: from when on the person is erased; None for never.
    """

    basis: str
    reference: str = ""
    given: dt.datetime | None = None
    expires: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class PersonFields:
    """What is known of a person besides the faces; None leaves a stored value as it is, an empty value clears it."""

    name: str | None = None
    gender: str | None = None
    date_of_birth: dt.date | Literal[""] | None = None
    nationality: str | None = None
    id_number: str | None = None
    address: str | None = None
    notes: str | None = None
    watch_list: tuple[str, ...] | None = None
    consent: Consent | None = None  # one with an empty basis clears it
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
    consent: Consent | None = None


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
        further: templates by other embedders, by model id, while the default changes.
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
    """What changes of a person, all of it or nothing.

    Attributes:
        fields: None leaves a value as it is.
        collections: names of all that the person shall be in, which may be none; None leaves them.
        removed_faces: ids of faces that go.
        replace_faces: all present faces go.
        new_faces: faces that come.
        min_faces, max_faces: removing must leave so many, adding may lead to so many; None for any number.
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
    """A face with whom it belongs to, None for a face that stands for itself."""

    face: Face
    person: Person | None


@dataclass(frozen=True, slots=True)
class UnassignedFacesChange:
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
class RegisteredFaces:
    """The faces of a picture, stored without a person, largest first; ``seen`` says where each was."""

    image: ImageInfo
    image_id: str
    faces: tuple[Face, ...]
    seen: tuple[DetectedFace, ...]
