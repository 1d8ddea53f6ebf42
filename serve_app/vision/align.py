"""Aligned crops: five landmarks moved to fixed positions by a similarity transform."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from serve_app.domain import Pixels

CROP_SIDE = 112

REFERENCE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]], np.float32
)
"""Where right eye, left eye, nose, right and left mouth corner lie in an aligned crop, as ArcFace-style embedders
expect them (Deng et al.: "ArcFace", CVPR 2019, as published with its code)."""

_MAX_OVERSAMPLING = 4  # eight takes twice as long and moves a template by less than 0.01 in cosine


def similarity(source: NDArray[np.float32], target: NDArray[np.float32]) -> NDArray[np.float64]:
    """The rotation, uniform scale and shift that bring ``source`` nearest to ``target`` in the least-squares sense.

    In the plane Umeyama's solution ("Least-squares estimation of transformation parameters between two point patterns",
    IEEE TPAMI 1991) has a closed form: with points as complex numbers about their means, the factor is
    ``sum(conj(source) * target) / sum(|source|^2)``.

    Takes two arrays (n, 2) of points; returns a float64 (2, 3) matrix that maps column vectors (x, y, 1). Raises
    ValueError if all source points are the same, or a coordinate is not finite.
    """
    points, wanted = (np.asarray(p, np.float64) @ np.array([1, 1j]) for p in (source, target))
    about, wanted_about = points.mean(), wanted.mean()
    points, wanted = points - about, wanted - wanted_about
    spread = np.vdot(points, points).real
    if not math.isfinite(spread) or spread <= 0:
        raise ValueError(f"expected at least two different finite points, got {np.asarray(source).tolist()}")
    factor = np.vdot(points, wanted) / spread
    shift = wanted_about - factor * about
    return np.array([[factor.real, -factor.imag, shift.real], [factor.imag, factor.real, shift.imag]])


def face_scale(landmarks: NDArray[np.float32]) -> float:
    """Scale of the alignment: pixels of the aligned crop per pixel of the image with these landmarks (5, 2)."""
    matrix = similarity(landmarks, REFERENCE)
    return math.hypot(matrix[0, 0], matrix[1, 0])


def align(pixels: Pixels, landmarks: NDArray[np.float32]) -> Pixels:
    """The face upright in 112x112 pixels, black where the image ends.

    Takes the image, uint8 (height, width, 3) BGR, and float32 (5, 2) landmarks in its pixels, in the order of
    :data:`REFERENCE`. Returns a new array, uint8 (112, 112, 3) BGR.
    """
    matrix = similarity(landmarks, REFERENCE)
    shrinking = 1 / max(math.hypot(matrix[0, 0], matrix[1, 0]), 1e-6)
    # A bilinear warp looks at four pixels only: a large face is warped to a multiple of the size, then averaged.
    factor = max(1, min(_MAX_OVERSAMPLING, math.floor(shrinking)))
    if factor > 1:
        enlarge = np.array([[factor, 0, (factor - 1) / 2], [0, factor, (factor - 1) / 2]])  # about pixel centres
        matrix = enlarge @ np.vstack([matrix, [0, 0, 1]])
    side = CROP_SIDE * factor
    crop: Pixels = cv2.warpAffine(pixels, matrix, (side, side), flags=cv2.INTER_LINEAR, borderValue=(0, 0, 0))
    if factor > 1:
        crop = cv2.resize(crop, (CROP_SIDE, CROP_SIDE), interpolation=cv2.INTER_AREA)
    return crop


def placement(landmarks: Sequence[Sequence[float]], width: int, height: int) -> Callable[[Pixels], Pixels] | None:
    """A function that warps an aligned crop to the landmark positions and input size of an embedder.

    ``landmarks`` are five points (x, y) in pixels of the embedder's input, in the order of :data:`REFERENCE`. The
    function maps uint8 (112, 112, 3) to (height, width, 3), black where the crop ends. None if the embedder takes the
    aligned crop as it is.
    """
    matrix = similarity(REFERENCE, np.asarray(landmarks, np.float32))
    if (width, height) == (CROP_SIDE, CROP_SIDE) and np.allclose(matrix, np.eye(2, 3), atol=0.01):
        return None

    def place(crop: Pixels) -> Pixels:
        size = (width, height)
        placed: Pixels = cv2.warpAffine(crop, matrix, size, flags=cv2.INTER_LINEAR, borderValue=(0, 0, 0))
        return placed

    return place
