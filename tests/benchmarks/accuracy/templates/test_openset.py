"""Open-set identification in one process: draws, error rates, fusions."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.accuracy.templates.openset import Searches, against, cumulative_match, rates, search
from tests.vision.test_fmr_statistics import templates


def test_people_are_enrolled_once_and_searched_with_their_other_images() -> None:
    crowd = templates(50, 3, likeness=3.0)
    found = search(crowd, np.ones(150), 20, seed=1)
    assert len(found.genuine) == 20 * 2
    assert len(found.strangers) == 30
    assert found.rank.max() == 1
    assert found.genuine.min() > found.strangers.max()
    assert search(crowd, np.ones(150), 20, seed=1).genuine.tolist() == found.genuine.tolist()


def test_people_with_too_few_pictures_are_enrolled_last() -> None:
    people = np.concatenate([np.repeat(np.arange(10), 2), np.arange(10, 30)])
    crowd = type(templates(1))(templates(40).vectors, people)
    assert len(search(crowd, np.ones(40), 10, seed=1).genuine) == 10
    assert len(search(crowd, np.ones(40), 15, seed=1).genuine) == 10
    with pytest.raises(ValueError, match="more than 30 people"):
        search(crowd, np.ones(40), 30, seed=1)


def test_error_rates() -> None:
    found = Searches(
        genuine=np.array([0.9, 0.5, 0.6], np.float32),
        rank=np.array([1, 1, 2]),
        owner=np.array([0, 1, 1]),
        strangers=np.arange(100, dtype=np.float32) / 200,
    )
    assert found.fnir(0.0) == pytest.approx(1 / 3)
    assert found.fnir(0.55) == pytest.approx(2 / 3)
    assert found.fpir(found.cosine_at(0.05)) == pytest.approx(0.05)
    assert found.fpir(found.cosine_at(0.001)) == 0
    assert list(rates([found])) == []  # one stranger of 100 is too few
    assert cumulative_match([found])[:2].tolist() == [pytest.approx(2 / 3), 1.0]


def test_fusions() -> None:
    a, b, c = np.eye(3, dtype=np.float32)
    vectors = np.stack([a, b, c])
    gallery = [np.array([0, 1]), np.array([2])]
    probe = np.array([[0.8, 0.6, 0.0]], np.float32)
    quality = np.array([0.8, 0.6, 0.0])
    np.testing.assert_allclose(against(probe, vectors, quality, gallery, "best"), [[0.8, 0.0]], atol=1e-6)
    np.testing.assert_allclose(against(probe, vectors, quality, gallery, "mean"), [[1.4 / 2**0.5, 0.0]], atol=1e-6)
    np.testing.assert_allclose(against(probe, vectors, quality, gallery, "quality"), [[1.0, 0.0]], atol=1e-6)
