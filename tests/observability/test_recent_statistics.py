"""Recent statistics of a stage: latency, rate and refusals within the window."""

from __future__ import annotations

import asyncio

import pytest

from serve_app.errors import InvalidRequest, Overloaded
from serve_app.observability.recent_statistics import WINDOW_S, MeasuredStage, RecentStatistics


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Stage:
    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    async def work(self, seconds: float, error: Exception | None = None) -> float:
        self.clock.now += seconds
        if error:
            raise error
        return seconds

    async def ready(self) -> str:
        return "yes"


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_latency_rate_and_what_is_forgotten(clock: Clock) -> None:
    statistics = RecentStatistics(clock)
    for milliseconds in range(1, 101):
        with statistics.call():
            clock.now += milliseconds / 1000
    figures = statistics.figures()
    assert (figures.calls, figures.refused, figures.failed, figures.in_flight) == (100, 0, 0, 0)
    assert figures.median_ms == pytest.approx(51, abs=1)
    assert figures.p99_ms == pytest.approx(99, abs=1)
    assert figures.per_second == pytest.approx(100 / 5.05)
    clock.now += WINDOW_S + 1
    assert statistics.figures().calls == 0
    assert statistics.figures().median_ms is None


def test_refusals_and_failures_are_told_apart(clock: Clock) -> None:
    measured = MeasuredStage(Stage(clock))
    measured.statistics = RecentStatistics(clock)

    async def use() -> None:
        assert await measured.work(0.010) == 0.010
        for error in (Overloaded("full", retry_after_s=1), RuntimeError("bug"), InvalidRequest("no")):
            with pytest.raises(type(error)):
                await measured.work(0.020, error)
        assert await measured.ready() == "yes"

    asyncio.run(use())
    figures = measured.statistics.figures()
    assert (figures.calls, figures.refused, figures.failed) == (4, 1, 1)
    assert figures.p99_ms == pytest.approx(20)


def test_in_flight(clock: Clock) -> None:
    statistics = RecentStatistics(clock)
    with statistics.call(), statistics.call():
        assert statistics.figures().in_flight == 2
    assert statistics.figures().in_flight == 0
