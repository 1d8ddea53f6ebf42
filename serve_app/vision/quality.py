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

MAX_YAW = 30.0
"""Degrees that vendors accept for liveness and enrolment."""

MAX_ROLL = 22.0
"""Degrees as read from YuNet's eyes, which follow a turned face only part of the way: 20 are read as 18 on average, 35
as 26, 50 as 25. Vendors accept 30."""

YAW_PER_OFFSET = -77.0
"""Degrees of yaw per nose offset, which is in eye distances along the eye axis (0.3 is 23 degrees, 0.4 is 31)."""

BLURRED_SHARPNESS = 15.0
"""Variance of the Laplacian below which a face is blurred: one in a thousand of LFW's photographs."""

FULL_EYE_DISTANCE = 40.0
"""Pixels between the eyes from which on size does not lower the quality any more: the embedder's crop has 35."""

FULL_SHARPNESS = 300.0
"""Variance of the Laplacian from which on sharpness does not lower the quality any more."""

NOSE_HEIGHT = 0.55
"""Where the nose is between eyes (0) and mouth (1) on a frontal face: the median of LFW."""

INTERCEPT = -4.4985
BY_SCORE, BY_ROLL, BY_SIZE, BY_SHARPNESS, BY_NOSE = 36.04, 0.0321, 0.209, 0.295, 2.093
"""Logistic regression of false non-matches (FMR 1e-4) on 7,349 genuine pairs of LFW and 1,200 pairs whose one picture
was made small, blurred, dark or bright; each of two pictures adds its own part. See docs/quality.md."""


def assess(crop: Pixels, box: Box, landmarks: NDArray[np.float32], score: float, width: int, height: int) -> Quality:
    """Judge one face.

    ``value`` is 1 less the estimated chance that a comparison with an equally good picture of the same person misses:
    the logistic function of what lowers it, by the weights above: a low detection score (which is what falls with
    covered, turned and badly lit faces), roll, few pixels, blur, a nose that is nearer to the eyes or to the mouth
    than on a frontal face (pitch).

    Args:
        crop: the aligned face, uint8 (112, 112, 3) BGR.
        box, landmarks: in pixels of the upright picture; landmarks (5, 2): eyes, nose, mouth corners.
        score: of the detection, 0 to 1.
        width, height: of the picture.
    """
    right_eye, left_eye, nose = np.asarray(landmarks[:3], np.float64)
    eyes, mouth = (right_eye + left_eye) / 2, np.asarray(landmarks[3:5], np.float64).mean(axis=0)
    axis, down = left_eye - right_eye, mouth - eyes
    eye_distance = float(np.hypot(*axis))
    roll = math.degrees(math.atan2(axis[1], axis[0]))
    offset = float((nose - eyes) @ axis) / max(eye_distance, 1e-6) ** 2
    yaw = float(np.clip(YAW_PER_OFFSET * offset, -90.0, 90.0))
    nose_height = float((nose - eyes) @ down) / max(float(down @ down), 1e-6)
    grey = cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY)
    sharpness = float(cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_32F))[1][0, 0]) ** 2
    odds = (
        INTERCEPT
        + BY_SCORE * (1 - float(np.clip(score, 0, 1)))
        + BY_ROLL * abs(roll)
        + BY_SIZE * math.log(FULL_EYE_DISTANCE / min(max(eye_distance, 4.0), FULL_EYE_DISTANCE))
        + BY_SHARPNESS * math.log(FULL_SHARPNESS / min(max(sharpness, 3.0), FULL_SHARPNESS))
        + BY_NOSE * min(abs(nose_height - NOSE_HEIGHT), 1.0)
    )
    return Quality(
        value=1 / (1 + math.exp(odds)),
        sharpness=sharpness,
        brightness=float(cv2.mean(grey)[0]),
        eye_distance=eye_distance,
        roll=roll,
        yaw=yaw,
        codes=_codes(box, roll, yaw, width, height) | _blur(sharpness),
    )


def _blur(sharpness: float) -> frozenset[QualityCode]:
    return frozenset({QualityCode.FACE_BLURRED}) if sharpness < BLURRED_SHARPNESS else frozenset()


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
    if abs(roll) > MAX_ROLL or abs(yaw) > MAX_YAW:
        codes.add(QualityCode.FACE_ANGLE_TOO_LARGE)
    return frozenset(codes)
