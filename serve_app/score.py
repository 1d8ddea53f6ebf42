"""The calibrated score: a number in [0, 1] that keeps its meaning when the model changes.

A model's card lists anchors: cosines measured at known false-match rates. The score is piecewise linear in the cosine
through them, placed so that **each 0.05 is one order of magnitude of false-match rate**: FMR 1e-1 is 0.55, 1e-4 is
0.70, 1e-7 is 0.85; cosine -1 is 0 and cosine 1 is 1. This module is the only place that converts between cosine, score,
FMR (share of comparisons of different people that match) and FPIR (share of searches by unknown people that return
anyone).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from serve_app.domain import Threshold, ThresholdRequest
from serve_app.errors import InvalidRequest

DEFAULT_FPIR = 0.01
"""FPIR of a search without a threshold: one search in a hundred by unknown people returns anyone."""

DEFAULT_MIN_SCORE = 0.70
"""Least score of a match in a one-to-one comparison without a threshold: FMR 1e-4."""


def fmr_to_score(fmr: float) -> float:
    """The score at which comparisons of different people match with probability ``fmr`` (above 0, at most 1)."""
    return min(1.0, max(0.0, 0.5 - 0.05 * math.log10(fmr)))


def score_to_fmr(score: float) -> float:
    """The inverse of :func:`fmr_to_score`; 1 for every score up to 0.5, where the scale ends."""
    return float(min(1.0, 10.0 ** (10.0 - 20.0 * score)))


def fmr_to_fpir(fmr: float, gallery_size: int) -> float:
    """FPIR of a search over ``gallery_size`` faces, assuming independent comparisons: 1 - (1 - FMR)^N."""
    if fmr >= 1.0:
        return 1.0 if gallery_size else 0.0
    return -math.expm1(gallery_size * math.log1p(-fmr))


def fpir_to_fmr(fpir: float, gallery_size: int) -> float:
    """The FMR that keeps a search over ``gallery_size`` faces (an empty gallery counts as one) at ``fpir``."""
    return -math.expm1(math.log1p(-fpir) / max(1, gallery_size))


@dataclass(frozen=True)
class Calibration:
    """Conversion between cosine and score for one model; ``anchors`` from its card: false-match rate -> cosine.

    Raises ValueError if there are no anchors, an FMR is not between 0 and 1, or the cosines do not rise as FMRs fall.
    """

    anchors: Mapping[float, float]

    def __post_init__(self) -> None:
        if not self.anchors:
            raise ValueError("a calibration needs at least one anchor (FMR -> cosine), got none")
        if any(not 0.0 < fmr < 1.0 for fmr in self.anchors):
            raise ValueError(f"anchor FMRs must be between 0 and 1, got {sorted(self.anchors)}")
        cosines = self._cosines
        if np.any(np.diff(cosines) <= 0):
            raise ValueError(f"anchor cosines must rise as the FMR falls and be inside (-1, 1), got {cosines.tolist()}")

    @property
    def _cosines(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        falling = sorted(self.anchors, reverse=True)
        return np.array([-1.0, *(self.anchors[fmr] for fmr in falling), 1.0])

    @property
    def _scores(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        return np.array([0.0, *(fmr_to_score(fmr) for fmr in sorted(self.anchors, reverse=True)), 1.0])

    def score(self, cosine: float) -> float:
        """The score in [0, 1] of a cosine. Cosines outside [-1, 1] by rounding are clipped."""
        return float(np.interp(cosine, self._cosines, self._scores))

    def cosine(self, score: float) -> float:
        """The cosine with this score."""
        return float(np.interp(score, self._scores, self._cosines))


def check_threshold(threshold: ThresholdRequest) -> None:
    """Raise InvalidRequest unless the request has at most one of score and FPIR, in its range."""
    if threshold.min_score is not None and threshold.fpir is not None:
        raise InvalidRequest("min_score and fpir exclude each other; send one of them.")
    if threshold.min_score is not None and not 0.0 <= threshold.min_score <= 1.0:
        raise InvalidRequest(f"min_score must be between 0 and 1, got {threshold.min_score}.")
    if threshold.fpir is not None and not 0.0 < threshold.fpir < 1.0:
        raise InvalidRequest(f"fpir must be over 0 and below 1, got {threshold.fpir}.")


def resolve_threshold(request: ThresholdRequest, gallery_size: int, policy_min_score: float | None = None) -> Threshold:
    """The threshold of one search: the requested one, else the collection's policy, else :data:`DEFAULT_FPIR`.

    Args:
        request: checked by :func:`check_threshold`.
        gallery_size: number of faces compared with.
        policy_min_score: the strictest ``min_score`` of the searched collections' policies; None if none has one.
    """
    if request.min_score is not None:
        min_score = request.min_score
    elif request.fpir is None and policy_min_score is not None:
        min_score = policy_min_score
    else:
        min_score = fmr_to_score(fpir_to_fmr(request.fpir or DEFAULT_FPIR, gallery_size))
    fmr = score_to_fmr(min_score)
    return Threshold(min_score=min_score, fmr=fmr, fpir=fmr_to_fpir(fmr, gallery_size), gallery_size=gallery_size)
