"""How far a face's picture can be trusted, from its box, landmarks and aligned crop."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from serve_app.domain import Box, Pixels, Quality, QualityCode

MIN_FACE_WIDTH = 80
"""Pixels below which a face is too small: the liveness models guess, and embedders lose accuracy."""

MAX_FACE_SHARE = 0.8
"""Of the picture's width or height: a face beyond it is too close."""

CROPPED_MARGIN = 0.02
"""Of the box's size: a box nearer to the border than this is cut off by it."""

BORDER_MARGIN = 0.1
"""Of the box's size: below it a face is close to the border (vendors ask for 15 pixels beside 150, 25 beside 224)."""

MAX_ANGLE = 30.0
"""Degrees of roll or yaw that vendors accept for liveness and enrolment."""

YAW_PER_OFFSET = -77.0
"""Degrees of yaw per nose offset, which is in eye distances along the eye axis (0.3 is 23 degrees, 0.4 is 31)."""

FULL_EYE_DISTANCE = 60.0
"""Pixels between the eyes from which on size does not lower the quality any more."""

FULL_SHARPNESS = 300.0
"""Variance of the Laplacian from which on sharpness does not lower the quality any more."""


def assess(crop: Pixels, box: Box, landmarks: NDArray[np.float32], score: float, width: int, height: int) -> Quality:
    """Judge one face.

    ``value`` is the geometric mean of four factors in [0, 1]: size (eye distance over :data:`FULL_EYE_DISTANCE`),
    sharpness (over :data:`FULL_SHARPNESS`), pose (cosine of yaw times cosine of half the roll, which alignment mends)
    and the detection score. It falls when any of them does; nothing else is claimed of it.

    Args:
        crop: the aligned face, uint8 (112, 112, 3) BGR.
        box, landmarks: in pixels of the upright picture; landmarks (5, 2), the eyes and the nose first.
        score: of the detection, 0 to 1.
        width, height: of the picture.
    """
    right_eye, left_eye, nose = np.asarray(landmarks[:3], np.float64)
    axis = left_eye - right_eye
    eye_distance = float(np.hypot(*axis))
    roll = math.degrees(math.atan2(axis[1], axis[0]))
    offset = float((nose - (left_eye + right_eye) / 2) @ axis) / max(eye_distance, 1e-6) ** 2
    yaw = float(np.clip(YAW_PER_OFFSET * offset, -90.0, 90.0))
    grey = cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY)
    sharpness = float(cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_32F))[1][0, 0]) ** 2
    factors = (
        min(1.0, eye_distance / FULL_EYE_DISTANCE),
        min(1.0, sharpness / FULL_SHARPNESS),
        math.cos(math.radians(yaw)) * math.cos(math.radians(roll) / 2),
        min(1.0, score),
    )
    return Quality(
        value=max(0.0, math.prod(factors)) ** 0.25,
        sharpness=sharpness,
        brightness=float(cv2.mean(grey)[0]),
        eye_distance=eye_distance,
        roll=roll,
        yaw=yaw,
        codes=_codes(box, roll, yaw, width, height),
    )


def _codes(box: Box, roll: float, yaw: float, width: int, height: int) -> frozenset[QualityCode]:
    codes = set()
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
    if max(abs(roll), abs(yaw)) > MAX_ANGLE:
        codes.add(QualityCode.FACE_ANGLE_TOO_LARGE)
    return frozenset(codes)
