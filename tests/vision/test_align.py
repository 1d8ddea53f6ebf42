"""The similarity transform and the aligned crop."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.transform import SimilarityTransform

from serve_app.vision.align import CROP_SIDE, REFERENCE, align, similarity
from serve_app.vision.embedding import FaceEmbedder
from serve_app.vision.face_analyser import FaceAnalyser
from tests import photos

angles = st.floats(-math.pi, math.pi)
scales = st.floats(0.05, 20)
shifts = st.floats(-2000, 2000)


def turned(points: np.ndarray, angle: float, scale: float, dx: float, dy: float) -> np.ndarray:
    rotation = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return scale * points.astype(np.float64) @ rotation.T + [dx, dy]


@given(angles, scales, shifts, shifts)
def test_recovers_a_known_similarity(angle: float, scale: float, dx: float, dy: float) -> None:
    source = turned(REFERENCE, angle, scale, dx, dy)
    matrix = similarity(source, REFERENCE)
    assert np.abs(source @ matrix[:, :2].T + matrix[:, 2] - REFERENCE).max() < 1e-6 * (1 + abs(dx) + abs(dy)) / scale


@given(st.integers(0, 2**32 - 1))
def test_agrees_with_an_independent_umeyama(seed: int) -> None:
    source = REFERENCE * 3 + np.random.default_rng(seed).normal(0, 8, (5, 2)).astype(np.float32)
    other = SimilarityTransform.from_estimate(source.astype(np.float64), REFERENCE.astype(np.float64))
    np.testing.assert_allclose(similarity(source, REFERENCE), other.params[:2], atol=1e-6)


@pytest.mark.parametrize("points", [np.ones((5, 2)), np.full((5, 2), np.nan)])
def test_points_that_say_nothing(points: np.ndarray) -> None:
    with pytest.raises(ValueError, match="different finite points"):
        similarity(points, REFERENCE)


@given(angles, st.floats(0.3, 12), st.floats(0, 400), st.floats(0, 400))
def test_crop_is_an_array_of_its_own(angle: float, scale: float, dx: float, dy: float) -> None:
    pixels = np.zeros((300, 400, 3), np.uint8)
    crop = align(pixels, turned(REFERENCE, angle, scale, dx, dy).astype(np.float32))
    assert (crop.shape, crop.dtype) == ((CROP_SIDE, CROP_SIDE, 3), np.uint8)
    assert crop.flags["C_CONTIGUOUS"]
    assert crop.flags["OWNDATA"]
    assert not np.shares_memory(crop, pixels)


@pytest.mark.parametrize("scale", [0.5, 1, 2, 3, 5, 8.5])
@pytest.mark.parametrize("angle", [0, 0.4])
def test_landmarks_land_on_their_places(scale: float, angle: float) -> None:
    wanted = turned(REFERENCE, angle, scale, 60 + 40 * scale, 20)
    pixels = np.zeros((1400, 1600, 3), np.uint8)
    for x, y in wanted:
        cv2.circle(pixels, (round(16 * x), round(16 * y)), round(16 * 3 * scale), (255, 255, 255), -1, shift=4)
    crop = align(pixels, wanted.astype(np.float32))
    _, _, _, centres = cv2.connectedComponentsWithStats((crop[..., 0] > 127).astype(np.uint8))
    found = centres[1:]
    distances = np.linalg.norm(found[:, None] - REFERENCE[None], axis=2)
    assert len(found) == 5
    assert distances.min(axis=0).max() < max(0.35, 0.5 / scale)  # half a pixel of the coarser grid


@pytest.mark.parametrize("factor", [3, 6])
def test_noise_of_a_large_picture_is_averaged(factor: int, analyser: FaceAnalyser, embedder: FaceEmbedder) -> None:
    small = photos.decode(photos.astronaut())
    landmarks = analyser.finder.detector.detect(small).landmarks[0]
    large = cv2.resize(small, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC).astype(np.float32)
    noisy = np.clip(large + np.random.default_rng(0).normal(0, 25, large.shape), 0, 255).astype(np.uint8)
    crops = [align(small, landmarks), align(noisy, (landmarks + 0.5) * factor - 0.5)]
    plain = cv2.warpAffine(noisy, similarity((landmarks + 0.5) * factor - 0.5, REFERENCE), (CROP_SIDE, CROP_SIDE))
    first, averaged, dropped = embedder.embed(np.stack([*crops, plain]))
    assert first @ averaged > 0.95 > first @ dropped
