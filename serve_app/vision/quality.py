"""Face image quality, from the face's box, landmarks and aligned crop."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from serve_app.domain import Box, Pixels, Quality, QualityCode

MIN_FACE_WIDTH = 80
"""Box width in pixels below which a face is too small: liveness models guess there, and embedders lose accuracy."""

MAX_FACE_SHARE = 0.8
"""Share of the image's width or height above which a face is too close."""

CROPPED_MARGIN = 0.02
"""Distance to the border, as a share of the box's size, up to which a face counts as cut off by the border."""

BORDER_MARGIN = 0.1
"""Distance to the border, as a share of the box's size, below which a face is close to the border (vendors ask for 15
pixels beside a face of 150, 25 beside one of 224)."""

MAX_YAW = 30.0
"""Largest yaw in degrees that vendors accept for liveness and enrolment."""

MAX_ROLL = 22.0
"""Largest roll in degrees, as measured from YuNet's eyes. These follow a rolled face only partly: 20 degrees are
measured as 18 on average, 35 as 26, 50 as 25. Vendors accept 30."""

YAW_PER_OFFSET = -77.0
"""Degrees of yaw per nose offset, measured in eye distances along the eye axis (0.3 is 23 degrees, 0.4 is 31)."""

BLURRED_SHARPNESS = 15.0
"""Variance of the Laplacian below which a face is blurred: one in a thousand of LFW's images is."""

FULL_EYE_DISTANCE = 40.0
"""Eye distance in pixels from which on size no longer lowers the quality: the embedder's crop has 35."""

FULL_SHARPNESS = 300.0
"""Variance of the Laplacian from which on sharpness no longer lowers the quality."""

NOSE_HEIGHT = 0.55
"""Height of the nose between eyes (0) and mouth (1) on a frontal face: the median of LFW."""

INTERCEPT = -4.4985
WEIGHTS = np.array([36.04, 0.0321, 0.209, 0.295, 2.093])
"""Coefficients for :func:`burdens`: logistic regression of false non-matches (FMR 1e-4) on 7,349 genuine pairs of LFW
and 1,200 pairs in which one image was made small, blurred, dark or bright, detected at long side 640.
``python -m benchmarks quality --fit`` repeats the fit; see docs/quality.md."""


def burdens(landmarks: NDArray[np.float32], score: float, sharpness: float) -> NDArray[np.float64]:
    """Features that make a face hard to recognise, each 0 for a perfect face.

    Args:
        landmarks: (5, 2) in pixels of the image: eyes, nose, mouth corners.
        score: detection score, 0 to 1; it falls for covered, turned and badly lit faces.
        sharpness: variance of the Laplacian of the aligned face.

    Returns:
        float64 (5,): 1 - score; roll in degrees; log of :data:`FULL_EYE_DISTANCE` over the eye distance; log of
        :data:`FULL_SHARPNESS` over the sharpness; distance of the nose from :data:`NOSE_HEIGHT` (pitch).
    """
    eyes, mouth, nose, axis = _points(landmarks)
    down = mouth - eyes
    nose_height = float((nose - eyes) @ down) / max(float(down @ down), 1e-6)
    return np.array(
        [
            1 - float(np.clip(score, 0, 1)),
            abs(_roll(axis)),
            math.log(FULL_EYE_DISTANCE / min(max(float(np.hypot(*axis)), 4.0), FULL_EYE_DISTANCE)),
            math.log(FULL_SHARPNESS / min(max(sharpness, 3.0), FULL_SHARPNESS)),
            min(abs(nose_height - NOSE_HEIGHT), 1.0),
        ]
    )


def assess(crop: Pixels, box: Box, landmarks: NDArray[np.float32], score: float, width: int, height: int) -> Quality:
    """The quality of one face.

    ``value`` is 1 minus the estimated probability that a comparison with an equally good image of the same person is
    a false non-match: the logistic function of its :func:`burdens`.

    Args:
        crop: the aligned face, uint8 (112, 112, 3) BGR.
        box, landmarks: in pixels of the upright image; landmarks (5, 2): eyes, nose, mouth corners.
        score: detection score, 0 to 1.
        width, height: size of the upright image in pixels.
    """
    eyes, _, nose, axis = _points(landmarks)
    eye_distance, roll = float(np.hypot(*axis)), _roll(axis)
    offset = float((nose - eyes) @ axis) / max(eye_distance, 1e-6) ** 2
    yaw = float(np.clip(YAW_PER_OFFSET * offset, -90.0, 90.0))
    grey = cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY)
    sharpness = float(cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_32F))[1][0, 0]) ** 2
    odds = INTERCEPT + float(WEIGHTS @ burdens(landmarks, score, sharpness))
    return Quality(
        value=1 / (1 + math.exp(odds)),
        sharpness=sharpness,
        brightness=float(cv2.mean(grey)[0]),
        eye_distance=eye_distance,
        roll=roll,
        yaw=yaw,
        codes=_codes(box, roll, yaw, sharpness, width, height),
    )


def _points(landmarks: NDArray[np.float32]) -> tuple[NDArray[np.float64], ...]:
    """Midpoint of the eyes, midpoint of the mouth, nose, and the vector from the right to the left eye."""
    right_eye, left_eye, nose = np.asarray(landmarks[:3], np.float64)
    mouth = np.asarray(landmarks[3:5], np.float64).mean(axis=0)
    return (right_eye + left_eye) / 2, mouth, nose, left_eye - right_eye


def _roll(axis: NDArray[np.float64]) -> float:
    return math.degrees(math.atan2(axis[1], axis[0]))


def _codes(box: Box, roll: float, yaw: float, sharpness: float, width: int, height: int) -> frozenset[QualityCode]:
    codes = {QualityCode.FACE_BLURRED} if sharpness < BLURRED_SHARPNESS else set()
    if box.width < MIN_FACE_WIDTH:
        codes.add(QualityCode.FACE_TOO_SMALL)
    if box.width > MAX_FACE_SHARE * width or box.height > MAX_FACE_SHARE * height:
        codes.add(QualityCode.FACE_TOO_CLOSE)
    beside = min(box.x, width - box.x - box.width) / max(box.width, 1.0)
    above = min(box.y, height - box.y - box.height) / max(box.height, 1.0)
    if min(beside, above) <= CROPPED_MARGIN:
        codes.add(QualityCode.FACE_CROPPED)
    elif min(beside, above) < BORDER_MARGIN:
        codes.add(QualityCode.FACE_CLOSE_TO_BORDER)
    if abs(roll) > MAX_ROLL or abs(yaw) > MAX_YAW:
        codes.add(QualityCode.FACE_ANGLE_TOO_LARGE)
    return frozenset(codes)
