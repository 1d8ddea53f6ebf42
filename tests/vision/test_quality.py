"""Measurements of a face, and the quality codes that follow from them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.domain import Box, DetectedFace, Quality, QualityCode
from serve_app.vision.quality import assess

FRONTAL = np.array([[-20, 0], [20, 0], [0, 22], [-15, 42], [15, 42]], np.float32)
NOISE = np.random.default_rng(0).integers(0, 255, (112, 112, 3), np.uint8)
MIDDLE = Box(250, 180, 140, 160)


def judged(
    box: Box = MIDDLE,
    landmarks: np.ndarray = FRONTAL * 2 + 300,
    score: float = 0.9,
    crop: np.ndarray = NOISE,
    size: tuple[int, int] = (640, 480),
) -> Quality:
    return assess(crop, box, landmarks.astype(np.float32), score, *size)


def test_a_good_portrait(collins: DetectedFace) -> None:
    quality = collins.quality
    assert quality.codes == frozenset()
    assert quality.value > 0.85
    assert quality.eye_distance == pytest.approx(42.5, abs=1.5)  # the detector's points move by a pixel with its input
    assert abs(quality.roll) < 3
    assert abs(quality.yaw) < 10
    assert 100 < quality.brightness < 180


@pytest.mark.parametrize(
    ("box", "codes"),
    [
        (MIDDLE, set()),
        (Box(250, 180, 79, 100), {"FACE_TOO_SMALL"}),
        (Box(250, 180, 80, 100), set()),
        (Box(-5, 180, 140, 160), {"FACE_CROPPED"}),
        (Box(2, 180, 140, 160), {"FACE_CROPPED"}),
        (Box(498, 180, 140, 160), {"FACE_CROPPED"}),
        (Box(250, 318, 140, 160), {"FACE_CROPPED"}),
        (Box(10, 180, 140, 160), {"FACE_CLOSE_TO_BORDER"}),
        (Box(250, 308, 140, 160), {"FACE_CLOSE_TO_BORDER"}),
        (Box(100, 50, 380, 400), {"FACE_TOO_CLOSE", "FACE_CLOSE_TO_BORDER"}),
        (Box(-20, -20, 700, 520), {"FACE_TOO_CLOSE", "FACE_CROPPED"}),
    ],
)
def test_codes_from_the_box(box: Box, codes: set[str]) -> None:
    assert judged(box).codes == {QualityCode(code) for code in codes}


@pytest.mark.parametrize("degrees", [-80, -23, -21, 0, 10, 21, 23, 120])
def test_roll(degrees: float) -> None:
    angle = np.radians(degrees)
    clockwise = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    quality = judged(landmarks=FRONTAL @ clockwise.T + 300)
    assert quality.roll == pytest.approx(degrees, abs=0.01)
    assert quality.yaw == pytest.approx(0, abs=0.01)
    assert (QualityCode.FACE_ANGLE_TOO_LARGE in quality.codes) == (abs(degrees) > 22)


@pytest.mark.parametrize(("offset", "yaw"), [(0.3, -23.1), (-0.4, 30.8), (0.0, 0.0), (3.0, -90.0)])
def test_yaw_is_77_degrees_per_eye_distance(offset: float, yaw: float) -> None:
    points = FRONTAL.copy()
    points[2, 0] = offset * 40
    quality = judged(landmarks=points + 300)
    assert quality.yaw == pytest.approx(yaw, abs=0.05)
    assert (QualityCode.FACE_ANGLE_TOO_LARGE in quality.codes) == (abs(yaw) > 30)


def test_yaw_changes_its_sign_in_the_mirror(collins: DetectedFace) -> None:
    mirrored = collins.landmarks[[1, 0, 2, 4, 3]] * [-1, 1] + [512, 0]
    assert judged(landmarks=mirrored).yaw == pytest.approx(-collins.quality.yaw, abs=1e-3)


def test_brightness_and_sharpness() -> None:
    grey = np.full((112, 112, 3), 90, np.uint8)
    assert judged(crop=grey).brightness == pytest.approx(90)
    assert judged(crop=grey).sharpness == 0
    assert judged(crop=grey).codes == {QualityCode.FACE_BLURRED}
    assert judged(crop=grey).value < judged().value - 0.3


def test_a_nose_that_pitch_moves_lowers_the_value() -> None:
    def value(nose: float) -> float:
        points = FRONTAL.copy()
        points[2, 1] = nose * 42
        return judged(landmarks=points * 2 + 300).value

    assert value(0.55) > value(0.4) > value(0.2)
    assert value(0.55) > value(0.7) > value(0.9)


def test_blur_lowers_sharpness_and_value(collins: DetectedFace) -> None:
    values = [judged(crop=cv2.GaussianBlur(collins.crop, (9, 9), sigma)) for sigma in (0.1, 1, 2, 4)]
    assert sorted(values, key=lambda q: -q.sharpness) == values
    assert sorted(values, key=lambda q: -q.value) == values
    assert values[0].value > 1.5 * values[-1].value


@given(st.floats(1, 200), st.floats(1, 200), st.floats(0, 1), st.floats(0, 1), st.floats(0, 0.5), st.floats(0, 0.5))
def test_value_rises_with_size_and_score_and_falls_with_yaw(
    size: float, other_size: float, score: float, other_score: float, turn: float, other_turn: float
) -> None:
    def value(eyes: float, score: float, turn: float) -> float:
        points = FRONTAL / 40
        points[2, 0] = turn
        return judged(landmarks=points * eyes, score=score).value

    better = value(max(size, other_size), max(score, other_score), min(turn, other_turn))
    worse = value(min(size, other_size), min(score, other_score), max(turn, other_turn))
    assert 0 <= worse <= better + 1e-4
    assert better <= 1
