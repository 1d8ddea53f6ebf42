"""Error versus reject, images with known faults, the fit of the weights."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.accuracy.quality.benchmark import REJECTED, Pairs, by_level, genuine, rejection_curve
from benchmarks.accuracy.quality.faults import FAULTS
from benchmarks.accuracy.quality.weights import fit
from serve_app.domain import Box, QualityCode


def test_pairs_are_of_one_person_and_their_worse_picture_counts() -> None:
    templates = np.eye(4, 8, dtype=np.float32)
    pairs = genuine(templates, np.array([0, 0, 0, 1]))
    assert sorted(map(tuple, pairs.rows.tolist())) == [(0, 1), (0, 2), (1, 2)]
    assert pairs.cosines.tolist() == [0, 0, 0]
    measured = dict(zip(map(tuple, pairs.rows.tolist()), pairs.lower(np.array([0.5, 0.2, 0.9, 1.0])), strict=True))
    assert measured == {(0, 1): 0.2, (0, 2): 0.5, (1, 2): 0.2}


def test_pairs_of_one_person_are_limited() -> None:
    owners = np.zeros(40, np.intp)
    assert len(genuine(np.ones((40, 2), np.float32), owners).cosines) == 30


def test_a_measure_that_knows_falls_and_one_that_errs_rises() -> None:
    missed = np.arange(100) < 10
    knows = rejection_curve(np.arange(100.0), missed)
    errs = rejection_curve(-np.arange(100.0), missed)
    assert knows[0] == errs[0] == 0.1
    assert knows[REJECTED.index(0.05)] == pytest.approx(5 / 95, abs=1e-5)
    assert knows[REJECTED.index(0.1)] == 0
    assert errs[REJECTED.index(0.4)] == pytest.approx(10 / 60, abs=1e-5)


def test_levels_hold_every_pair_once() -> None:
    lower = np.array([0.1, 0.5, 0.65, 0.95, 0.97])
    levels = by_level(lower, np.array([True, True, False, False, True]))
    assert sum(level["pairs"] for level in levels) == len(Pairs(np.zeros((5, 2), np.intp), lower).cosines)
    assert [level["fnmr"] for level in levels] == [1.0, None, 1.0, 0.0, None, None, 0.5]


@pytest.mark.parametrize("code", FAULTS)
def test_faults_are_made_and_spared(code: QualityCode) -> None:
    random, picture = np.random.default_rng(1), np.full((250, 250, 3), 128, np.uint8)
    truths = set()
    for _ in range(20):
        changed, faulty = FAULTS[code](picture, Box(80.0, 70.0, 90.0, 120.0), random)
        assert changed.dtype == np.uint8
        assert changed.ndim == 3
        truths.add(faulty)
    assert truths == {True, False}


def test_weights_that_made_the_misses_are_found_again() -> None:
    random = np.random.default_rng(0)
    sums = random.exponential(1.0, (20_000, 5))
    chance = 1 / (1 + np.exp(-(sums @ np.array([2.0, 1.0, 0.5, 0.2, 0.0]) - 6)))
    intercept, weights = fit(sums, random.random(len(sums)) < chance)
    assert intercept == pytest.approx(-3, abs=0.1)
    np.testing.assert_allclose(weights, [2.0, 1.0, 0.5, 0.2, 0.0], atol=0.1)
