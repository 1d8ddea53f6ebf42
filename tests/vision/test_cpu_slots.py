"""Computing threads share the processors: each waits for one, and a call that finds several free takes them."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from serve_app.vision.cpu_slots import CpuSlots
from serve_app.vision.onnx_session import Array, CpuSession
from tests.fakes.onnx_session import FakeSession

BATCH = np.zeros((1, 3, 4, 4), np.float32)


class Worker:
    """A thread that holds processors until it is told to let go."""

    def __init__(self, cores: CpuSlots, wanted: int = 1) -> None:
        self.held = 0
        self.has, self._go = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, args=(cores, wanted))
        self._thread.start()

    def _run(self, cores: CpuSlots, wanted: int) -> None:
        with cores.hold(wanted) as self.held:
            self.has.set()
            assert self._go.wait(60)

    def let_go(self) -> None:
        self._go.set()
        self._thread.join(60)


def test_callers_wait_in_order_when_all_slots_are_held() -> None:
    cores = CpuSlots(2)
    first, second = Worker(cores), Worker(cores)
    assert first.has.wait(60)
    assert second.has.wait(60)
    third = Worker(cores, wanted=2)
    assert not third.has.wait(0.1)
    fourth = Worker(cores)
    assert not fourth.has.wait(0.1)
    first.let_go()
    assert third.has.wait(60)
    assert third.held == 1, "it does not wait until two are free"
    assert not fourth.has.wait(0.1)
    for worker in (second, third, fourth):
        worker.let_go()
    with cores.hold(2) as held:
        assert held == 2, "all were given back"


def test_several_only_while_all_that_are_wanted_are_free() -> None:
    cores = CpuSlots(3)
    with cores.hold(3) as held:
        assert held == 3
    other = Worker(cores)
    assert other.has.wait(60)
    with cores.hold(3) as held:
        assert held == 1
    with cores.hold(2) as held:
        assert held == 2
    other.let_go()


def test_a_thread_keeps_what_it_holds_and_never_waits_for_more() -> None:
    cores = CpuSlots(2)
    with cores.hold() as outer:
        assert outer == 1
        with cores.hold(2) as inner:
            assert inner == 2
        other = Worker(cores)
        assert other.has.wait(60), "what the inner call took was given back"
        with cores.hold(2) as inner:
            assert inner == 1
        other.let_go()
    with cores.hold(2) as held:
        assert held == 2


def test_a_failed_call_gives_back() -> None:
    cores = CpuSlots(1)
    with pytest.raises(ValueError, match="broken"), cores.hold():
        raise ValueError("broken")
    with cores.hold() as held:
        assert held == 1


def test_never_more_at_once_than_there_are() -> None:
    cores, lock = CpuSlots(3), threading.Lock()
    now = most = 0

    def compute(wanted: int) -> None:
        nonlocal now, most
        with cores.hold(wanted) as held:
            with lock:
                now += held
                most = max(most, now)
            with cores.hold(3) as more, lock:
                most = max(most, now - held + more)
            with lock:
                now -= held

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(compute, [1, 2, 3] * 300))
    assert 0 < most <= 3
    with cores.hold(3) as held:
        assert held == 3


def test_a_model_gets_several_threads_while_the_processors_are_free() -> None:
    used: list[str] = []

    def named(name: str) -> FakeSession:
        return FakeSession(lambda batch: [used.append(name) or batch])  # type: ignore[func-returns-value]

    cores = CpuSlots(2)
    session = CpuSession(named("one"), named("several"), 2, cores)
    session.run(BATCH)
    other = Worker(cores)
    assert other.has.wait(60)
    session.run(BATCH)
    other.let_go()
    session.run(BATCH)
    assert used == ["several", "one", "several"]


def test_without_more_threads_there_is_one_session() -> None:
    session = CpuSession(FakeSession(lambda batch: [batch], ["fc1"]), cores=CpuSlots(1))
    assert (session.provider, session.output_names) == ("cpu", ("fc1",))
    np.testing.assert_array_equal(session.run(BATCH)[0], BATCH)


@pytest.mark.parametrize("rows", [0, 1, 4, 5, 13])
def test_a_large_batch_is_computed_in_parts(rows: int) -> None:
    parts: list[int] = []

    def double(batch: Array) -> list[Array]:
        parts.append(len(batch))
        return [batch * 2, batch[:, :1]]

    batch = np.arange(rows * 6, dtype=np.float32).reshape(rows, 1, 2, 3)
    doubled, first = CpuSession(FakeSession(double, ["a", "b"]), cores=CpuSlots(1)).run(batch)
    np.testing.assert_array_equal(doubled, batch * 2)
    np.testing.assert_array_equal(first, batch[:, :1])
    assert sum(parts) == rows
    assert max(parts) <= 4
