"""Figures and plot of an autoscaling trace."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.load import plots
from benchmarks.load.autoscaling import Phase, summarise, turns


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [([], 0), ([1, 1], 0), ([1, 2, 2], 0), ([1, 2, 2, 1], 1), ([1, 2, 1, 2], 2), ([0, 1, 1, 2, 0], 1)],
)
def test_turns(numbers: list[int], expected: int) -> None:
    assert turns(numbers) == expected


def test_requests_belong_to_the_phase_in_which_they_were_due(tmp_path: Path) -> None:
    stages = ("detector", "liveness", "embedder", "matcher")
    found = {
        "phase_starts": [0.0, 10.0],
        "states": [
            {"at": at, "replicas": dict.fromkeys(stages, number), "in_flight": dict.fromkeys(stages, 3)}
            for at, number in ((1.0, 1), (11.0, 2), (15.0, 1))
        ],
        "requests": [(1.0, 20.0, 200), (9.9, 40.0, 200), (10.5, 5.0, 429), (12.0, 100.0, 200), (13.0, 1.0, 500)],
    }
    phases = [Phase("calm", 10, 0.2), Phase("burst", 5, 2.0)]
    figures = summarise(found, phases)
    assert figures["stages"]["detector"] == {"most": 2, "last": 1, "turns": 1}
    calm, burst = figures["phases"]
    assert (calm["requests"], calm["p50"], calm["share_429"]) == (2, 30.0, 0.0)
    assert (burst["requests"], burst["p50"]) == (3, 100.0)
    assert (burst["share_429"], burst["share_failed"]) == (0.3333, 0.3333)
    plots.autoscaling(tmp_path / "plot.svg", found, figures["phases"], 2.0)
    assert (tmp_path / "plot.svg").stat().st_size > 1000
