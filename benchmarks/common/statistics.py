"""Shares with confidence intervals, distributions of times, quartiles over repetitions, logistic regression."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

Z95 = 1.959963984540054
"""The normal distribution's 97.5 % quantile."""

LOGISTIC_STEPS = 30


@dataclass(frozen=True, slots=True)
class Share:
    """``hits`` of ``trials`` with a 95 % confidence interval; ``value``, ``low`` and ``high`` are 0 to 1."""

    hits: int
    trials: int
    value: float
    low: float
    high: float
    interval: str

    def __str__(self) -> str:
        return f"{self.value:.4f} [{self.low:.4f}, {self.high:.4f}] ({self.hits} of {self.trials})"

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, rounded to five digits."""
        bounds = {name: round(getattr(self, name), 5) for name in ("value", "low", "high")}
        return {**bounds, "hits": self.hits, "trials": self.trials, "interval": self.interval}


def wilson(hits: int, trials: int) -> Share:
    """A share of independent trials, with Wilson's score interval (Wilson 1927, J. Am. Stat. Assoc. 22:209).

    Raises:
        ValueError: no trials, or hits outside 0 to ``trials``.
    """
    if not 0 <= hits <= trials or trials == 0:
        raise ValueError(f"0 <= hits <= trials and at least one trial were expected, got {hits} of {trials}")
    share = hits / trials
    z2 = Z95**2 / trials
    centre = (share + z2 / 2) / (1 + z2)
    half = Z95 * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials)) / (1 + z2)
    # Without a hit the lower bound is exactly 0, without a miss the upper one exactly 1; rounding would blur that.
    low = 0.0 if hits == 0 else max(0.0, centre - half)
    high = 1.0 if hits == trials else min(1.0, centre + half)
    return Share(hits, trials, share, low, high, "95 %, Wilson")


def clustered(groups: Sequence[tuple[int, int]], resamples: int = 2000, seed: int = 0) -> Share:
    """A share over all trials of all groups, with a percentile bootstrap interval that resamples groups.

    Images of one person are not independent trials: a person who is missed once tends to be missed again. Where all
    trials or none hit, resampling shows no spread; the interval is then Wilson's with one trial for each group.

    Args:
        groups: (hits, trials) of each person.

    Raises:
        ValueError: no group has a trial.
    """
    table = np.array([group for group in groups if group[1]], dtype=np.int64)
    if not len(table):
        raise ValueError("at least one group with a trial was expected")
    hits, trials = (int(total) for total in table.sum(axis=0))
    if hits in (0, trials):
        edge = wilson(len(table) if hits else 0, len(table))
        return Share(hits, trials, edge.value, edge.low, edge.high, "95 %, Wilson over persons")
    random = np.random.default_rng(seed)
    picks = random.integers(0, len(table), size=(resamples, len(table)))
    sums = table[picks].sum(axis=1)
    low, high = np.quantile(sums[:, 0] / sums[:, 1], [0.025, 0.975])
    return Share(hits, trials, hits / trials, float(low), float(high), "95 %, bootstrap over persons")


def error_rate(errors: int, trials: int) -> dict[str, Any]:
    """JSON-ready share of errors with Wilson's 95 % interval, rounded to four digits; NaN without trials."""
    if not trials:
        return {"errors": 0, "of": 0, "value": math.nan}
    share = wilson(errors, trials)
    interval = [round(share.low, 4), round(share.high, 4)]
    return {"errors": errors, "of": trials, "value": round(share.value, 4), "interval_95": interval}


@dataclass(frozen=True, slots=True)
class Spread:
    """A distribution of times, in the unit of the samples."""

    count: int
    median: float
    p95: float
    p99: float
    mean: float
    minimum: float

    @classmethod
    def of(cls, samples: ArrayLike) -> Spread:
        """The distribution of at least one sample."""
        values = np.asarray(samples, dtype=np.float64)
        p50, p95, p99 = np.quantile(values, [0.5, 0.95, 0.99])
        return cls(len(values), float(p50), float(p95), float(p99), float(values.mean()), float(values.min()))

    def as_dict(self) -> dict[str, float]:
        """JSON-ready, rounded to three digits."""
        return {name: round(value, 3) for name, value in asdict(self).items()}


def quartiles(values: ArrayLike) -> dict[str, float]:
    """Median, quartiles and range over repetitions."""
    low, first, median, third, high = np.quantile(np.asarray(values, dtype=np.float64), [0, 0.25, 0.5, 0.75, 1])
    parts = {"median": median, "q1": first, "q3": third, "min": low, "max": high}
    return {name: round(float(value), 4) for name, value in parts.items()}


def logistic(inputs: Floats, truth: NDArray[np.bool_], weights: Floats, ridge: float) -> Floats:
    """Weights and, last, the intercept of a ridge logistic regression.

    By iteratively reweighted least squares (Hastie, Tibshirani, Friedman: "The Elements of Statistical Learning",
    4.4.1). The intercept is not shrunk.

    Args:
        inputs: (n, k).
        truth: (n,).
        weights: (n,), of each row.
        ridge: strength of the penalty.

    Returns:
        (k + 1,).
    """
    rows = np.column_stack([inputs, np.ones(len(inputs))])
    penalty = np.diag([ridge] * inputs.shape[1] + [0.0])
    found = np.zeros(rows.shape[1])
    for _ in range(LOGISTIC_STEPS):
        chance = 1 / (1 + np.exp(-np.clip(rows @ found, -30, 30)))
        curvature = weights * np.maximum(chance * (1 - chance), 1e-6)
        gradient = rows.T @ (weights * (truth - chance)) - penalty @ found
        found = found + np.linalg.solve(rows.T @ (rows * curvature[:, None]) + penalty, gradient)
    return found
