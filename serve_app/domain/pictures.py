"""Images and the faces detected on them."""

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
    """An axis-aligned rectangle in pixels; it can extend beyond the image."""

    x: float
    y: float
    width: float
    height: float

    @property
    def area(self) -> float:
        """Area in square pixels."""
        return self.width * self.height


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """Facts about a sent image: upright size in pixels, format (``JPEG``, ``PNG``, ``WEBP``, ``BMP``), bytes."""

    width: int
    height: int
    format: str
    num_bytes: int


class QualityCode(StrEnum):
    """Defects that can make a face unfit for enrolment or a liveness decision, under the names that vendors use."""

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
    """Quality of a face image.

    Attributes:
        value: 0 (useless) to 1: estimated probability that the person is recognised by this face (docs/quality.md).
        sharpness: variance of the Laplacian of the aligned 112x112 crop, grey levels squared.
        brightness: mean grey level of the aligned crop, 0 to 255.
        eye_distance: distance between the eye centres in pixels of the upright image.
        roll: in-plane rotation in the image in degrees, positive clockwise as seen, -180 to 180. What a face is turned
            by (:attr:`DetectedFace.turned`) is a part of it, which lowers neither ``value`` nor leads to a code.
        yaw: left-right rotation in degrees, estimated from the nose's position between the eyes.
        codes: defects of the face; empty for a good one.
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
    """One face of an image.

    Attributes:
        landmarks: float32 (5, 2): right eye, left eye, nose, right and left mouth corner, of the person shown.
        detection_score: 0 to 1.
        crop: the aligned face for the embedder, uint8 (112, 112, 3) BGR.
        turned: degrees clockwise by which the face is turned in the image: 0, 90 (the top of the head is to the right),
            180 or 270. Box and landmarks are in the image; crops show the face upright.
        liveness_crops: model id -> uint8 (height, width, 3) BGR, cut from the image at full size; empty unless
            liveness was asked for.
    """

    box: Box
    landmarks: NDArray[np.float32]
    detection_score: float
    quality: Quality
    crop: Pixels
    liveness_crops: Mapping[str, Pixels] = field(default_factory=dict)
    turned: int = 0


@dataclass(frozen=True, slots=True)
class Detection:
    """The detector's result for one image.

    Attributes:
        faces: largest box first.
        left_out: smaller faces that were found, beyond the number of faces that the service's limits allow.
    """

    image: ImageInfo
    faces: tuple[DetectedFace, ...]
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class DetectOptions:
    """Options of a detection.

    Attributes:
        max_faces: keep only this number of largest faces; None keeps all.
        liveness: also cut the crops that the liveness models need.
        every: find all faces. Without it only the main face is of interest, and those that it could be confused with:
            smaller ones are looked for only if there is none, which takes less time.
    """

    max_faces: int | None = None
    liveness: bool = False
    every: bool = False


@dataclass(frozen=True, slots=True)
class Liveness:
    """Presentation attack detection for one face.

    Attributes:
        probability: probability of a live person, 0 to 1: the mean over the models in use.
        models: model id -> its probability.
        threshold: probability from which the face counts as live.
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
    """A face of an image with its liveness, None if that was not asked for."""

    face: DetectedFace
    liveness: Liveness | None = None
