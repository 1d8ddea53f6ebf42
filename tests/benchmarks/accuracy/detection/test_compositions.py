"""Composed group images, and parts of photographs without a face."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.accuracy.detection.backgrounds import beside_faces, face_free, mosaic, skimage_pictures
from benchmarks.accuracy.detection.groups import IOU, Heads, compose, overlap
from serve_app.vision.face_analyser import FaceAnalyser
from tests import photos
from tests.vision.conftest import analyser, catalogue, files

__all__ = ["analyser", "catalogue", "files"]


def test_faces_are_where_the_composition_says(analyser: FaceAnalyser, tmp_path: Path) -> None:
    (tmp_path / "one.jpg").write_bytes(photos.astronaut())
    (tmp_path / "two.jpg").write_bytes(photos.group([photos.astronaut(), photos.grace_hopper()]))
    heads = Heads.cut(analyser.finder.detector, [tmp_path / "one.jpg", tmp_path / "two.jpg"])
    assert len(heads.pixels) == 1  # one image has a bystander
    picture, boxes = compose(heads, (640, 480), 48, 5, np.random.default_rng(1))
    assert picture.shape == (480, 640, 3)
    assert boxes[:, 2] == pytest.approx(48)
    found = analyser.finder.detector.detect(picture).boxes
    assert len(found) == len(boxes) == 5
    assert (overlap(boxes, found) >= IOU).sum() == 5


def test_overlap_by_hand() -> None:
    a = np.array([[0, 0, 2, 2]], np.float32)
    b = np.array([[0, 0, 2, 2], [1, 0, 2, 2], [5, 5, 1, 1]], np.float32)
    np.testing.assert_allclose(overlap(a, b), [[1, 1 / 3, 0]])


def test_a_strip_beside_the_face(analyser: FaceAnalyser) -> None:
    whole = photos.decode(photos.astronaut())
    strip = beside_faces(analyser.finder.detector, whole)
    assert strip is not None
    (box,) = analyser.finder.detector.detect(whole).boxes
    assert strip.shape[0] == 512
    # Detections at other scales have boxes a few pixels wider.
    expected = max(int(box[0] - box[2] / 2), 512 - int(box[0] + 1.5 * box[2]) - 1)
    assert expected - 15 <= strip.shape[1] <= expected
    face_fills_it = cv2.resize(whole[55:185, 165:285], (400, 400))
    assert beside_faces(analyser.finder.detector, face_fills_it) is None


def test_pictures_without_a_face(analyser: FaceAnalyser, tmp_path: Path) -> None:
    (tmp_path / "one.jpg").write_bytes(photos.astronaut())
    own = dict(skimage_pictures())
    assert len(own) >= 5
    assert all(pixels.dtype == np.uint8 and pixels.shape[2] == 3 for pixels in own.values())
    count = len(own) + 6
    given = list(
        face_free(analyser.finder.detector, [tmp_path / "one.jpg"], count, [(320, 240)], np.random.default_rng(1))
    )
    assert [kind for kind, _, _ in given] == ["scikit-image"] * len(own) + ["background"] + ["mosaic"] * 5


def test_a_mosaic_is_full() -> None:
    parts = [np.full((50, width, 3), 9, np.uint8) for width in (30, 70)]
    assert mosaic(parts, (200, 120), np.random.default_rng(1)).min() == 9
