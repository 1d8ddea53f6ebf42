"""Cosines at false-match rates."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.anchors import anchors, impostor_cosines, interval
from benchmarks.pictures import HEIGHT, WIDTH, camera_picture, crop, encode
from serve_app.settings import Limits
from serve_app.vision.image import read_image


def unit_rows(count: int, dimension: int = 16) -> np.ndarray:
    rows = np.random.default_rng(5).normal(size=(count, dimension)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_each_pair_counts_once() -> None:
    rows = unit_rows(4)
    expected = [float(rows[i] @ rows[j]) for i in range(4) for j in range(i + 1, 4)]
    assert sorted(impostor_cosines(rows).tolist()) == pytest.approx(sorted(expected), abs=1e-6)


def test_an_anchor_is_reached_by_its_share_of_pairs_and_needs_enough_of_them() -> None:
    cosines = np.linspace(-1, 1, 50_001)
    found = anchors(cosines)
    assert list(found) == [1e-1, 1e-2, 1e-3]  # 1e-4 would rest on five pairs
    for rate, cosine in found.items():
        assert np.mean(cosines >= cosine) == pytest.approx(rate, rel=0.05)


def test_the_interval_holds_the_estimate() -> None:
    rows = unit_rows(200)
    low, high = interval(rows, 1e-2)
    assert low <= np.quantile(impostor_cosines(rows), 0.99) <= high


def test_pictures_have_the_promised_sizes() -> None:
    portrait = encode(np.full((250, 250, 3), 128, np.uint8))
    info, _ = read_image(camera_picture(portrait), Limits())
    assert (info.width, info.height, info.format) == (WIDTH, HEIGHT, "JPEG")
    info, _ = read_image(crop(portrait, {"x": 200, "y": 100, "width": 40, "height": 50}), Limits())
    assert (info.width, info.height) == (70, 100)  # cut off by the right border
