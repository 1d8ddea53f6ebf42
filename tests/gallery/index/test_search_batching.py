"""Concurrent searches are combined into few calls, and each caller gets the answers for its own probes."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from serve_app.domain import Vectors
from serve_app.gallery.index.base import IndexRow, RowKey
from serve_app.gallery.index.milvus_lite import LiteIndex
from serve_app.gallery.index.search_batching import MAX_PROBES, SearchBatcher


class Slow:
    """A search that returns the probes' first values. The first call waits for ``go_on``."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []
        self.begun, self.go_on = threading.Event(), threading.Event()

    def __call__(self, key: str, probes: Vectors) -> list[float]:
        self.calls.append((key, len(probes)))
        self.begun.set()
        assert self.go_on.wait(20)
        if key == "broken":
            raise OSError("no store")
        return [float(probe[0]) for probe in probes]


def test_those_who_come_during_a_search_share_the_next() -> None:
    slow = Slow()
    batcher: SearchBatcher[str, float] = SearchBatcher(slow)
    with ThreadPoolExecutor(50) as pool:
        first = pool.submit(batcher.search, "a", np.full((1, 4), -1, np.float32))
        assert slow.begun.wait(20)
        others = [pool.submit(batcher.search, "a", np.full((2, 4), n, np.float32)) for n in range(40)]
        alien = pool.submit(batcher.search, "b", np.full((1, 4), 99, np.float32))
        while sum(len(calls) for calls in batcher._waiting.values()) < 41:
            pass
        slow.go_on.set()
        assert first.result() == [-1.0]
        assert [other.result() for other in others] == [[n, n] for n in range(40)]
        assert alien.result() == [99.0]
    sizes = [count for key, count in slow.calls if key == "a"]
    assert sizes[0] == 1
    assert sorted(sizes[1:]) == [80 - MAX_PROBES, MAX_PROBES]
    assert ("b", 1) in slow.calls
    assert not batcher._waiting


def test_an_error_reaches_its_callers_alone() -> None:
    slow = Slow()
    slow.go_on.set()
    batcher: SearchBatcher[str, float] = SearchBatcher(slow)
    probe = np.zeros((1, 4), np.float32)
    with pytest.raises(OSError, match="no store"):
        batcher.search("broken", probe)
    assert batcher.search("fine", probe) == [0.0]
    big = np.zeros((3 * MAX_PROBES, 4), np.float32)
    assert len(batcher.search("fine", big)) == len(big)
    assert slow.calls[-1] == ("fine", len(big))


def test_the_embedded_index_answers_many_threads_at_once(tmp_path: Path) -> None:
    index = LiteIndex(str(tmp_path / "index.db"), "0" * 32, 20)
    try:
        index.warm_up()  # nothing to search yet
        vectors = np.eye(32, dtype=np.float32)
        keys = [RowKey("c" * 32, f"{number:032x}") for number in range(32)]
        index.upsert("m", [IndexRow(key, vector) for key, vector in zip(keys, vectors, strict=True)])
        index.warm_up()
        with ThreadPoolExecutor(16) as pool:
            found = list(pool.map(lambda vector: index.search("m", vector[None], ["c" * 32], 1), vectors))
        assert [hits[0].key for (hits,) in found] == keys
    finally:
        index.close()
