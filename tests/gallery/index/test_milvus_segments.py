"""Rows written to a Milvus server are sealed, so that they are indexed soon; sizes and indexes of segments are read."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any, NamedTuple

import numpy as np
import pytest
from pymilvus.exceptions import MilvusException

from scripts.servers.milvus import MilvusServer
from serve_app.gallery.index import milvus_segments
from serve_app.gallery.index.base import IndexRow, RowKey
from serve_app.gallery.index.milvus_segments import SEAL_PERIOD_S, SEAL_ROWS, SIZES_PERIOD_S, USED_AFTER_S, Segments
from serve_app.gallery.index.milvus_server import MilvusIndex
from serve_app.index_parameters import candidates
from tests.waiting import until


class FlushingClient:
    """Remembers which collections were flushed; refuses the first ``refusals`` calls."""

    def __init__(self, refusals: int = 0) -> None:
        self.flushed: list[str] = []
        self.refusals = refusals

    def flush(self, name: str, timeout: float) -> None:
        if self.refusals:
            self.refusals -= 1
            raise MilvusException(code=1, message="rate limit exceeded")
        self.flushed.append(name)


class LoadedSegment(NamedTuple):
    segment_id: int
    num_rows: int
    index_name: str


class SegmentsOfAServer:
    """Lists one of the indexes of each segment, chosen at random for each call."""

    def __init__(self, **indexes: set[str]) -> None:
        self.indexes = indexes
        self.sizes = [SEAL_ROWS] * len(indexes)
        self.failing = False
        self._chance = random.Random(7)

    def list_loaded_segments(self, name: str, timeout: float) -> list[LoadedSegment]:
        if self.failing:
            raise MilvusException(code=1, message="not now")
        names = [self._chance.choice(sorted(names) or [""]) for names in self.indexes.values()]
        return [LoadedSegment(i, *told) for i, told in enumerate(zip(self.sizes, names, strict=True))]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_much_is_sealed_and_little_is_not(clock: list[float]) -> None:
    client = FlushingClient()
    segments = Segments(client, 5)
    segments.written("large", SEAL_ROWS - 1)
    segments.written("small", 100)
    segments.seal()
    assert client.flushed == []
    segments.written("large", 1)
    segments.seal()
    segments.seal()
    assert client.flushed == ["large"]
    segments.written("large", SEAL_ROWS)
    segments.seal()
    assert client.flushed == ["large"], "not before SEAL_PERIOD_S has passed"
    clock[0] += SEAL_PERIOD_S
    segments.seal()
    assert client.flushed == ["large", "large"]


def test_a_refusal_is_no_failure_and_is_made_up_for(clock: list[float], caplog: pytest.LogCaptureFixture) -> None:
    client = FlushingClient(refusals=1)
    segments = Segments(client, 5)
    segments.written("large", SEAL_ROWS)
    segments.seal()
    assert "tried again" in caplog.text
    clock[0] += SEAL_PERIOD_S
    segments.seal()
    assert client.flushed == ["large"]


def test_what_is_gone_is_not_sealed(clock: list[float]) -> None:
    client = FlushingClient()
    segments = Segments(client, 5)
    segments.written("large", SEAL_ROWS)
    segments.dropped("large")
    segments.dropped("never written")
    segments.seal()
    assert client.flushed == []


def test_only_an_index_of_the_vectors_counts_and_not_at_once(clock: list[float]) -> None:
    """A segment's index of ids is loaded long before: of a million faces 150,000 were not found when that counted."""
    both = {"vector", "collection_id"}
    client = SegmentsOfAServer(first={"collection_id"}, second=set())
    segments = Segments(client, 5)
    assert segments.unindexed("large", 2 * SEAL_ROWS) == 2 * SEAL_ROWS
    client.indexes = {"first": both, "second": {"collection_id"}}
    assert segments.unindexed("large", 2 * SEAL_ROWS) == 2 * SEAL_ROWS, "listed, but not used yet"
    clock[0] += USED_AFTER_S
    assert segments.unindexed("large", 2 * SEAL_ROWS) == SEAL_ROWS
    client.indexes = {"first": both, "second": both}
    assert segments.unindexed("large", 2 * SEAL_ROWS) == SEAL_ROWS
    clock[0] += USED_AFTER_S
    assert segments.unindexed("large", 2 * SEAL_ROWS) == 0
    assert segments.unindexed("large", 2 * SEAL_ROWS + 10) == 0, "so few rows are searched exactly"
    assert segments.unindexed("large", 3 * SEAL_ROWS) == SEAL_ROWS, "not in any segment yet"


def test_what_is_indexed_when_a_process_begins_is_in_use() -> None:
    client = SegmentsOfAServer(first={"vector", "collection_id"}, second={"vector"})
    assert Segments(client, 5).unindexed("large", 2 * SEAL_ROWS) == 0
    writer = Segments(client, 5)
    writer.written("large", 1)
    assert writer.unindexed("large", 2 * SEAL_ROWS) == 2 * SEAL_ROWS, (
        "they can be indexes of rows that this process wrote"
    )


def test_a_search_looks_at_more_rows_of_larger_segments(clock: list[float]) -> None:
    client = SegmentsOfAServer()
    segments = Segments(client, 5)
    assert candidates(segments.largest("new")) == 128
    for size, expected in ((100_000, 128), (300_000, 300), (1_300_000, 1024)):
        client.indexes = {"small": set(), "large": {"vector"}}
        client.sizes = [20_000, size]
        segments.read_sizes("grown")
        clock[0] += SIZES_PERIOD_S / 2
        client.sizes = [20_000, 20_000]
        segments.read_sizes("grown")
        assert candidates(segments.largest("grown")) == expected, "the sizes are read once in SIZES_PERIOD_S"
        clock[0] += SIZES_PERIOD_S
    segments.dropped("grown")
    assert candidates(segments.largest("grown")) == 128


def test_a_server_that_does_not_tell_is_asked_again(clock: list[float], caplog: pytest.LogCaptureFixture) -> None:
    client = SegmentsOfAServer(large={"vector"})
    client.sizes, client.failing = [500_000], True
    segments = Segments(client, 5)
    segments.read_sizes("grown")
    assert "did not list" in caplog.text
    client.failing = False
    clock[0] += SIZES_PERIOD_S
    segments.read_sizes("grown")
    assert candidates(segments.largest("grown")) == 500


@pytest.mark.milvus_server
def test_a_server_has_sealed_and_indexed_it(milvus: MilvusServer, monkeypatch: pytest.MonkeyPatch) -> None:
    number = 2000  # a server never builds an index of fewer than about 1,000 rows
    monkeypatch.setattr(milvus_segments, "SEAL_ROWS", number)
    monkeypatch.setattr(milvus_segments, "USED_AFTER_S", 1)
    index = MilvusIndex(milvus.uri, "", "5ea1", 60)
    try:
        vectors = np.eye(16, dtype=np.float32)
        keys = [RowKey("c" * 32, f"{place:032x}") for place in range(number)]
        rows = [IndexRow(key, vectors[place % 16]) for place, key in enumerate(keys)]

        def sealed() -> int:
            part: Any = index._milvus_collections.find("m")
            return int(index._client.describe_index(part.name, "vector")["total_rows"])

        index.upsert("m", rows[:100])
        index.maintain()
        assert (sealed(), index.unindexed()) == (0, 0), "so few rows are searched exactly"
        index.upsert("m", rows[100:])
        assert index.unindexed() == number
        index.maintain()
        assert index.unindexed() == number
        asyncio.run(until(lambda: index.unindexed() == 0))
        name = index._milvus_collections.find("m").name  # type: ignore[union-attr]
        assert all(segment.index_name for segment in index._client.list_loaded_segments(name))
        index.settle("m", keys[-1])
        assert len(index.search("m", vectors[:1], ["c" * 32], 50)[0]) == 50
    finally:
        index.drop("m")
        index.close()
