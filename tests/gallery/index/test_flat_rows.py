"""The copy of the rows in memory equals the rows of the store, and searches find the nearest of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from pymilvus.exceptions import MilvusException

from serve_app.domain import Vectors
from serve_app.errors import StoreUnavailable
from serve_app.gallery.index import flat_rows
from serve_app.gallery.index.base import IndexRow, RowKey
from serve_app.gallery.index.flat_rows import FlatRows, Rows
from serve_app.gallery.index.milvus_lite import LiteIndex
from tests.fakes.memory_index import MemoryIndex

DIMENSION = 8


@pytest.fixture
def index(tmp_path: Path) -> Iterator[LiteIndex]:
    opened = LiteIndex(str(tmp_path / "index.db"), "0" * 32, 20)
    yield opened
    opened.close()


def vectors(number: int, seed: int = 0) -> Vectors:
    rows = np.random.default_rng(seed).standard_normal((number, DIMENSION)).astype(np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def key(number: int, collection: str = "c") -> RowKey:
    return RowKey(collection * 32, f"{number:032x}")


def test_rows_grow_shrink_and_are_overwritten() -> None:
    rows, held = Rows(DIMENSION), {}
    random = np.random.default_rng(1)
    for step, vector in enumerate(vectors(3_000)):
        face = str(random.integers(400 if step < 2_000 else 40))
        if random.random() < (0.3 if step < 2_000 else 0.7):
            rows.remove(face)
            held.pop(face, None)
        else:
            rows.put(face, vector)
            held[face] = vector
    for face in list(held)[:-3]:
        rows.remove(face)
        del held[face]
    assert len(rows) == len(held) == 3
    assert len(rows._vectors) <= 64
    assert not rows._vectors[3:].any()  # no vector is left of removed rows
    (near,) = rows.nearest(vectors(1, 7), 10)
    expected = sorted(((float(vectors(1, 7)[0] @ vector), face) for face, vector in held.items()), reverse=True)
    assert [face for _, face in near] == [face for _, face in expected]
    assert [cosine for cosine, _ in near] == pytest.approx([cosine for cosine, _ in expected], abs=1e-6)


@pytest.mark.parametrize("at_a_time", [100, 1 << 23])
def test_the_nearest_of_several_collections(monkeypatch: pytest.MonkeyPatch, at_a_time: int) -> None:
    monkeypatch.setattr(flat_rows, "MOST_COSINES", at_a_time)
    held, exact = FlatRows(), MemoryIndex()
    rows = [IndexRow(key(n, "abc"[n % 3]), vector) for n, vector in enumerate(vectors(90))]
    held.read("m", rows)
    exact.upsert("m", rows)
    for collections in (["a" * 32], ["a" * 32, "c" * 32], ["b" * 32, "e" * 32], ["e" * 32], []):
        for limit in (1, 7, 1_000):
            found = held.nearest("m", vectors(5, 3), collections, limit)
            expected = exact.search("m", vectors(5, 3), collections, limit)
            assert found is not None
            assert [[hit.key for hit in hits] for hits in found] == [[hit.key for hit in hits] for hits in expected]


def test_a_search_finds_what_was_written_before_the_start_and_after_it(tmp_path: Path) -> None:
    path = str(tmp_path / "index.db")
    rows = [IndexRow(key(n), vector) for n, vector in enumerate(vectors(20))]
    index = LiteIndex(path, "0" * 32, 20)
    index.upsert("m", rows[:10])
    index.delete("m", [key(3)])
    index.close()
    index = LiteIndex(path, "0" * 32, 20)
    try:
        for _ in range(2):
            assert {hit.key for hit in index.search("m", vectors(1, 5), ["c" * 32], 50)[0]} == set(index.keys("m"))
            index.upsert("m", [*rows[10:], IndexRow(key(4), rows[5].vector)])
            index.delete("m", [key(7), key(99)])
        near = index.search("m", rows[5].vector[None], ["c" * 32], 2)[0]
        assert {hit.key for hit in near} == {key(4), key(5)}
        index.drop("m")
        assert index.search("m", vectors(1), ["c" * 32], 5) == [[]]
    finally:
        index.close()


def test_after_a_failed_write_the_rows_are_read_again(index: LiteIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [IndexRow(key(n), vector) for n, vector in enumerate(vectors(4))]
    index.upsert("m", rows[:2])
    assert len(index.search("m", vectors(1), ["c" * 32], 9)[0]) == 2
    really = index._client.upsert

    def written_but_not_told(*arguments: object, **options: object) -> None:
        really(*arguments, **options)
        raise MilvusException(message="gone")

    monkeypatch.setattr(index._client, "upsert", written_but_not_told)
    with pytest.raises(StoreUnavailable):
        index.upsert("m", rows[2:])
    assert {hit.key for hit in index.search("m", vectors(1), ["c" * 32], 9)[0]} == {key(n) for n in range(4)}


def test_writers_and_searchers_at_the_same_time(index: LiteIndex) -> None:
    rows = vectors(240)

    def write(first: int) -> None:
        for n in range(first, first + 60, 5):
            index.upsert("m", [IndexRow(key(i), rows[i]) for i in range(n, n + 5)])
            index.delete("m", [key(n)])

    def search() -> None:
        while any(writer.is_alive() for writer in writers):
            index.search("m", vectors(2, 9), ["c" * 32], 5)

    index.upsert("m", [IndexRow(key(999), rows[0])])
    writers = [Thread(target=write, args=(first,)) for first in range(0, 240, 60)]
    searchers = [Thread(target=search) for _ in range(2)]
    for thread in [*writers, *searchers]:
        thread.start()
    index._flat_rows.forget()  # the next search reads while the writers write
    for thread in [*writers, *searchers]:
        thread.join()
    found = {hit.key for hit in index.search("m", vectors(1), ["c" * 32], 1_000)[0]}
    index._flat_rows.forget()
    assert found == set(index.keys("m")) == {key(n) for n in range(240) if n % 5} | {key(999)}
