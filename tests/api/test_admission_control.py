"""Admission control: bursts are served, and under a lasting overload requests are refused at once."""

from __future__ import annotations

import heapq

import numpy as np
import pytest

from serve_app.api.admission_control import WINDOW_S, Admission

MOST, FEW = 64, 4


class Replica:
    """Serves first come, first served, with two workers; time is what the test says."""

    def __init__(self, service_s: float = 0.02) -> None:
        self.now = 0.0
        self.admission = Admission(lambda: self.now)
        self._service_s = service_s
        self._ends: list[float] = []
        self._free = [0.0, 0.0]

    def request(self, at: float) -> float | None:
        """Seconds until the answer of a request at this moment; None if it is refused."""
        while self._ends and self._ends[0] <= at:
            heapq.heappop(self._ends)
            self.admission.end()
        self.now = at
        if self.admission.turns_away(MOST, FEW):
            return None
        assert self.admission.start(MOST, FEW)
        end = max(at, heapq.heappop(self._free)) + self._service_s
        heapq.heappush(self._free, end)
        heapq.heappush(self._ends, end)
        return end - at

    def load(self, rate: float, seconds: float, seed: int = 0) -> list[float | None]:
        """Answers to requests that arrive at random, with this mean rate in 1/s."""
        gaps = np.random.default_rng(seed).exponential(1 / rate, int(rate * seconds))
        return [self.request(float(at)) for at in self.now + np.cumsum(gaps)]

    def clients(self, number: int, seconds: float, retry_s: float = 1.0) -> list[float | None]:
        """Answers to clients that each send the next request with their answer, or after a wait when refused."""
        end, answers = self.now + seconds, []
        due = [(self.now + 0.001 * client, client) for client in range(number)]
        while due[0][0] < end:
            at, client = heapq.heappop(due)
            answers.append(self.request(at))
            heapq.heappush(due, (at + (answers[-1] or retry_s) + 1e-6, client))
        return answers


def served(answers: list[float | None]) -> list[float]:
    return [answer for answer in answers if answer is not None]


def test_a_burst_within_the_queue_is_served_whole() -> None:
    replica = Replica()
    answers = [replica.request(1.0) for _ in range(MOST)]
    assert len(served(answers)) == MOST
    assert replica.request(1.0) is None


def test_below_the_capacity_nobody_is_refused() -> None:
    answers = Replica().load(rate=85, seconds=60)  # of 100 a second
    assert len(served(answers)) == len(answers)


def test_at_twice_the_capacity_the_served_ones_wait_for_few_and_nothing_is_wasted() -> None:
    replica = Replica()
    replica.load(rate=200, seconds=5)
    answers = replica.load(rate=200, seconds=20, seed=1)
    assert max(served(answers)) <= FEW / 2 * 0.02 + 1e-9
    assert len(served(answers)) / 20 == pytest.approx(100, rel=0.15)


@pytest.mark.parametrize("rate", [20, 60, 90])
def test_an_overload_ends_also_into_a_high_load(rate: float) -> None:
    replica = Replica()
    replica.load(rate=300, seconds=5)
    replica.load(rate=rate, seconds=3 * WINDOW_S)
    answers = replica.load(rate=rate, seconds=60, seed=2)
    assert len(served(answers)) >= 0.99 * len(answers)


def test_a_load_just_above_the_capacity_fills_the_queue_seldom() -> None:
    replica = Replica()
    replica.load(rate=120, seconds=200)
    answers = served(replica.load(rate=120, seconds=200, seed=1))
    assert np.median(answers) <= FEW / 2 * 0.02
    assert np.quantile(answers, 0.75) <= FEW / 2 * 0.02
    assert len(answers) / 200 == pytest.approx(100, rel=0.15)


def test_after_an_overload_as_many_clients_as_there_is_room_for_are_all_served() -> None:
    replica = Replica()
    replica.clients(MOST + 20, seconds=5)
    replica.clients(20, seconds=3 * WINDOW_S)
    answers = replica.clients(20, seconds=20)
    assert len(served(answers)) == len(answers)


def test_work_that_starts_again_is_one_arrival() -> None:
    now = 0.0
    admission = Admission(lambda: now)
    for _ in range(MOST):
        assert admission.start(MOST, FEW)
    assert not admission.start(MOST, FEW)  # an overload begins
    for _ in range(MOST):
        admission.end()
    for _ in range(4):
        assert admission.start(MOST, FEW)
        admission.end()
        assert admission.start(MOST, FEW, again=True)
        admission.end()
    assert admission.turns_away(MOST, 0)
    now = WINDOW_S  # two of six were refused, not two of ten
    assert admission.start(MOST, FEW)
    assert admission.overloaded
