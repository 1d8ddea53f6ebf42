"""Cosine, score, FMR and FPIR agree with each other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.domain import ThresholdRequest
from serve_app.errors import InvalidRequest
from serve_app.score import (
    Calibration,
    check_threshold,
    fmr_to_fpir,
    fmr_to_score,
    fpir_to_fmr,
    resolve_threshold,
    score_to_fmr,
)

ANCHORS = {1e-1: 0.18, 1e-2: 0.303, 1e-3: 0.3715, 1e-4: 0.4335, 1e-5: 0.5015}
CALIBRATION = Calibration(ANCHORS)


@pytest.mark.parametrize(("fmr", "score"), [(1e-1, 0.55), (1e-2, 0.60), (1e-3, 0.65), (1e-4, 0.70), (1e-7, 0.85)])
def test_each_twentieth_of_the_score_is_a_decade_of_fmr(fmr: float, score: float) -> None:
    assert fmr_to_score(fmr) == pytest.approx(score)
    assert score_to_fmr(score) == pytest.approx(fmr)


@pytest.mark.parametrize(("fmr", "cosine"), ANCHORS.items())
def test_an_anchors_cosine_scores_its_fmr(fmr: float, cosine: float) -> None:
    assert score_to_fmr(CALIBRATION.score(cosine)) == pytest.approx(fmr)


def test_the_scale_ends_at_the_ends_of_the_cosine() -> None:
    assert CALIBRATION.score(-1.0) == 0.0
    assert CALIBRATION.score(1.0) == 1.0
    assert CALIBRATION.score(1.0000001) == 1.0


@given(st.floats(-1, 1), st.floats(-1, 1))
def test_a_higher_cosine_never_scores_lower(a: float, b: float) -> None:
    low, high = sorted((a, b))
    assert CALIBRATION.score(low) <= CALIBRATION.score(high)


@given(st.floats(0, 1))
def test_cosine_is_the_inverse_of_score(score: float) -> None:
    assert CALIBRATION.score(CALIBRATION.cosine(score)) == pytest.approx(score, abs=1e-9)


@given(st.floats(1e-6, 0.5), st.integers(1, 10**8))
def test_fpir_and_fmr_are_inverse(fpir: float, size: int) -> None:
    assert fmr_to_fpir(fpir_to_fmr(fpir, size), size) == pytest.approx(fpir, rel=1e-6)


@pytest.mark.parametrize("anchors", [{}, {1e-2: 0.3, 1e-3: 0.3}, {1e-2: 0.4, 1e-3: 0.3}, {2.0: 0.1}, {1e-2: 1.0}])
def test_impossible_anchors_are_refused(anchors: dict[float, float]) -> None:
    with pytest.raises(ValueError, match="anchor"):
        Calibration(anchors)


def test_without_a_wish_a_search_accepts_one_stranger_in_a_hundred() -> None:
    threshold = resolve_threshold(ThresholdRequest(), 1000)
    assert threshold.fpir == pytest.approx(0.01)
    assert threshold.fmr == pytest.approx(1e-5, rel=0.01)
    assert threshold.min_score == pytest.approx(0.75, abs=0.001)


def test_a_larger_gallery_needs_a_higher_score_for_the_same_fpir() -> None:
    scores = [resolve_threshold(ThresholdRequest(fpir=0.01), size).min_score for size in (0, 1, 100, 10_000, 10**6)]
    assert scores == sorted(scores)


def test_what_is_asked_beats_the_policy_and_the_policy_beats_the_default() -> None:
    assert resolve_threshold(ThresholdRequest(min_score=0.6), 10, 0.9).min_score == 0.6
    assert resolve_threshold(ThresholdRequest(fpir=0.1), 10, 0.9).fpir == pytest.approx(0.1)
    assert resolve_threshold(ThresholdRequest(), 10, 0.9).min_score == 0.9


@pytest.mark.parametrize(
    "request_",
    [
        ThresholdRequest(min_score=0.5, fpir=0.5),
        ThresholdRequest(min_score=1.01),
        ThresholdRequest(min_score=float("nan")),
        ThresholdRequest(fpir=0.0),
        ThresholdRequest(fpir=1.0),
    ],
)
def test_impossible_thresholds_are_refused(request_: ThresholdRequest) -> None:
    with pytest.raises(InvalidRequest):
        check_threshold(request_)
