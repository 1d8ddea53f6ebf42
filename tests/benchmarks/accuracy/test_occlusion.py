"""Drawn occlusions, and the classifier that is trained on them."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.accuracy.occlusion.benchmark import CLEAN, Faces, measure
from benchmarks.accuracy.occlusion.patterns import KINDS, cover_face
from serve_app.vision.align import REFERENCE, align


@pytest.mark.parametrize("kind", KINDS)
def test_an_occlusion_lies_on_the_face_and_nowhere_else(kind: str) -> None:
    picture = np.full((400, 400, 3), 120, np.uint8)
    landmarks = (REFERENCE + np.array([150, 120])).astype(np.float32)
    covered = cover_face(picture, landmarks, align(picture, landmarks), kind, np.random.default_rng(3))
    changed = (covered != picture).any(axis=2)
    assert 0.05 < changed[120:232, 150:262].mean() < 0.9
    assert not changed[:60].any()
    assert not changed[:, :80].any()
    assert (picture == 120).all()


def test_misses_are_counted_on_the_people_who_do_not_train() -> None:
    random = np.random.default_rng(1)
    kinds = np.array([CLEAN, *KINDS] * 200)
    people = np.repeat(np.arange(200), 4)
    templates = random.normal(size=(800, 4))
    templates[:, 0] += np.where(kinds == CLEAN, 0, 6)
    templates[(kinds == "hand") & (people >= 100), 0] -= 6  # hands of the other people look untouched
    found = measure(Faces(kinds, people, templates, np.full(800, 0.9)), "template", people < 100)
    assert found["0.05"]["mask"] < 0.1
    assert found["0.05"]["hand"] > 0.8
