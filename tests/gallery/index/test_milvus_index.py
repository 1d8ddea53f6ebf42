"""The index of a Milvus server, here over milvus-lite, which evaluates the same calls."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from serve_app.errors import InvalidRequest
from serve_app.gallery.index.base import IndexRow, RowKey
from serve_app.gallery.index.milvus_server import MilvusIndex
from tests.gallery.samples import MODEL, OTHER_MODEL, template

ONE, OTHER, THIRD = ("a" * 32, "b" * 32, "c" * 32)


class EmbeddedServer(MilvusIndex):
    """Searches by calls of the client, as on a server; only the collections are made as milvus-lite needs them."""

    EMBEDDED = True


@pytest.fixture
def index(tmp_path: Path) -> Iterator[MilvusIndex]:
    opened = EmbeddedServer(str(tmp_path / "index.db"), "", "0" * 8, 10.0)
    yield opened
    opened.close()


def rows(*keys: tuple[str, int]) -> list[IndexRow]:
    return [IndexRow(RowKey(collection, f"{seed:032x}"), template(seed)) for collection, seed in keys]


def found(index: MilvusIndex, seed: int, *collections: str, model: str = MODEL, limit: int = 10) -> list[RowKey]:
    (hits,) = index.search(model, template(seed)[None], collections, limit)
    assert [hit.cosine for hit in hits] == sorted((hit.cosine for hit in hits), reverse=True)
    return [hit.key for hit in hits]


def test_a_search_sees_the_rows_of_its_collections_only(index: MilvusIndex) -> None:
    written = rows((ONE, 1), (ONE, 2), (OTHER, 1), (THIRD, 3))
    index.upsert(MODEL, written)
    assert found(index, 1, ONE)[0] == written[0].key
    assert set(found(index, 1, ONE)) == {row.key for row in written[:2]}
    assert found(index, 1, OTHER) == [written[2].key]
    assert set(found(index, 1, ONE, OTHER)) == {row.key for row in written[:3]}
    assert set(found(index, 1, ONE, OTHER, limit=2)) == {written[0].key, written[2].key}
    assert found(index, 1, "d" * 32) == found(index, 1) == []


def test_models_have_rows_of_their_own(index: MilvusIndex) -> None:
    index.upsert(MODEL, rows((ONE, 1)))
    index.upsert(OTHER_MODEL, rows((ONE, 2)))
    assert index.models() == sorted([MODEL, OTHER_MODEL])
    assert [key.face_id for key in found(index, 1, ONE, model=OTHER_MODEL)] == [f"{2:032x}"]
    index.drop(OTHER_MODEL)
    assert found(index, 2, ONE, model=OTHER_MODEL) == []
    assert len(found(index, 1, ONE)) == 1


def test_deleted_and_overwritten_rows(index: MilvusIndex) -> None:
    first, second = rows((ONE, 1), (OTHER, 1))
    index.upsert(MODEL, [first, second])
    index.upsert(MODEL, [IndexRow(first.key, template(9))])
    assert index.count(MODEL) == 2
    (hits,) = index.search(MODEL, template(9)[None], [ONE], 10)
    assert hits[0].cosine == pytest.approx(1.0, abs=1e-5)
    assert index.rows_of(MODEL, [first.key.face_id]) == {first.key, second.key}
    index.delete(MODEL, [second.key, RowKey(THIRD, "e" * 32)])
    assert set(index.keys(MODEL)) == index.rows_of(MODEL, [first.key.face_id]) == {first.key}


def test_each_probe_has_its_own_hits(index: MilvusIndex) -> None:
    written = rows((ONE, 1), (ONE, 2), (ONE, 3))
    index.upsert(MODEL, written)
    answers = index.search(MODEL, np.stack([template(seed) for seed in (3, 1)]), [ONE], 1)
    assert [[hit.key for hit in hits] for hits in answers] == [[written[2].key], [written[0].key]]


@pytest.mark.parametrize("name", ["a' or true or '", '"] or true', "A" * 32, "a" * 31, ""])
def test_no_text_gets_into_a_filter(index: MilvusIndex, name: str) -> None:
    index.upsert(MODEL, rows((ONE, 1)))
    with pytest.raises((ValueError, InvalidRequest)):
        index.search(MODEL, template(1)[None], [name], 10)
    with pytest.raises((ValueError, InvalidRequest)):
        index.rows_of(MODEL, [name])
