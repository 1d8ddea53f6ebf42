"""A model gets several threads while it runs alone, and one while others do."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from serve_app.vision.cores import Cores
from serve_app.vision.session import CpuSession, FakeSession

BATCH = np.zeros((1, 3, 4, 4), np.float32)


def test_calls_are_counted() -> None:
    cores = Cores()

    def alone() -> bool:
        with cores.call() as alone:
            return alone

    with ThreadPoolExecutor() as pool, cores.call() as first:
        second = pool.submit(alone).result()
        assert (first, second) == (True, False)
        assert alone(), "a call inside another one has the same processors"
    with cores.call() as again:
        assert again, "also after a call that failed"
        try:
            with cores.call():
                raise ValueError
        except ValueError:
            pass
    with cores.call() as last:
        assert last


def test_several_threads_for_a_call_that_runs_alone() -> None:
    begun, go_on = threading.Event(), threading.Event()
    used: list[str] = []

    def one(batch: np.ndarray) -> list[np.ndarray]:  # type: ignore[type-arg]
        used.append("one")
        return [batch]

    def several(batch: np.ndarray) -> list[np.ndarray]:  # type: ignore[type-arg]
        used.append("several")
        begun.set()
        assert go_on.wait(60)
        return [batch]

    session = CpuSession(FakeSession(one), FakeSession(several), Cores())
    with ThreadPoolExecutor() as pool:
        first = pool.submit(session.run, BATCH)
        assert begun.wait(60)
        session.run(BATCH)
        go_on.set()
        first.result()
    session.run(BATCH)
    assert used == ["several", "one", "several"]


def test_without_more_threads_there_is_one_session() -> None:
    session = CpuSession(FakeSession(lambda batch: [batch], ["fc1"]), cores=Cores())
    assert (session.provider, session.output_names) == ("cpu", ("fc1",))
    assert session.run(BATCH)[0] is BATCH
