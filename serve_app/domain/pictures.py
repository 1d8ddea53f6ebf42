"""What is seen on a picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
"""An image: uint8, shape (height, width, 3), channels in BGR order."""

Vectors = NDArray[np.float32]
"""Templates: float32, shape (n, dimension), each row of Euclidean norm 1."""


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
    FACE_BLURRED = "FACE_BLURRED"
    EYES_CLOSED = "EYES_CLOSED"
    FACE_IS_OCCLUDED = "FACE_IS_OCCLUDED"


@dataclass(frozen=True, slots=True)
class Quality:
    """How much a face's picture can be trusted.

    Attributes:
        value: 0 (useless) to 1: the estimated chance that the person is recognised by it (docs/quality.md).
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
        every: also look for the small faces of a large picture, which takes longer; without, the large ones are sure.
    """

    max_faces: int | None = None
    liveness: bool = False
    every: bool = False


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
