"""Statistics of the published figures."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.common.statistics import Spread, clustered, error_rate, logistic, quartiles, wilson


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"),
    [
        # Published worked examples: Newcombe 1998, Statistics in Medicine 17:857, table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_agrees_with_published_examples(hits: int, trials: int, low: float, high: float) -> None:
    share = wilson(hits, trials)
    assert (share.low, share.high) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(("hits", "trials"), [(3, 2), (-1, 5), (0, 0)])
def test_wilson_refuses_impossible_counts(hits: int, trials: int) -> None:
    with pytest.raises(ValueError, match="hits <= trials"):
        wilson(hits, trials)


def test_wilson_reaches_the_ends() -> None:
    assert wilson(0, 50).low == 0.0
    assert wilson(50, 50).high == 1.0


def test_a_clustered_share_counts_trials_not_groups() -> None:
    share = clustered([(9, 10), (0, 1)])
    assert (share.hits, share.trials) == (9, 11)
    assert share.value == pytest.approx(9 / 11)


def test_a_clustered_interval_is_wider_where_failures_come_together() -> None:
    together = clustered([(0, 10)] * 5 + [(10, 10)] * 45)
    apart = clustered([(9, 10)] * 50)
    assert together.value == apart.value
    assert together.high - together.low > 0.1
    assert apart.high == apart.low == 0.9


def test_a_clustered_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(7)
    covered = 0
    for seed in range(200):
        skill = random.beta(18, 2, size=60)  # mean 0.9, different from person to person
        groups = [(int(random.binomial(5, p)), 5) for p in skill]
        share = clustered(groups, resamples=400, seed=seed)
        covered += share.low <= 0.9 <= share.high
    assert 0.88 <= covered / 200 <= 0.99


def test_a_clustered_share_without_any_failure_is_not_certain() -> None:
    share = clustered([(10, 10)] * 20)
    assert (share.value, share.high) == (1.0, 1.0)
    assert share.low == wilson(20, 20).low < 0.9


def test_empty_groups_do_not_count_and_no_trials_are_refused() -> None:
    assert clustered([(1, 1), (0, 0)]).trials == 1
    with pytest.raises(ValueError, match="at least one group"):
        clustered([(0, 0)])


def test_spread_and_quartiles() -> None:
    spread = Spread.of(np.arange(1, 102))
    assert (spread.count, spread.median, spread.p95, spread.p99, spread.minimum) == (101, 51, 96, 100, 1)
    assert quartiles([4, 1, 3, 2, 5]) == {"median": 3, "q1": 2, "q3": 4, "min": 1, "max": 5}


def test_the_regression_finds_the_line() -> None:
    random = np.random.default_rng(0)
    values = random.normal(size=(2000, 3))
    truth = random.random(2000) < 1 / (1 + np.exp(-(2 * values[:, 0] - 1)))
    found = logistic(values, truth, np.ones(2000), 0.3)
    assert found == pytest.approx([2, 0, 0, -1], abs=0.25)


def test_an_error_rate_has_its_interval_and_none_without_trials() -> None:
    # Wilson, worked example of Newcombe 1998 above
    assert error_rate(81, 263) == {"errors": 81, "of": 263, "value": 0.308, "interval_95": [0.2553, 0.3662]}
    assert np.isnan(error_rate(0, 0)["value"])
