"""An index that somebody else writes to: no answer names another person, and its rows are mended from the records."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from scripts.servers.milvus import MilvusServer
from serve_app.domain import DEFAULT_TENANT, NewCollection, PersonFields, Vectors
from serve_app.errors import FaceIdNotFound, StoreUnavailable
from serve_app.gallery import Gallery, index_check, open_gallery
from serve_app.gallery.index.base import Hit, IndexRow, RowKey
from serve_app.gallery.index.milvus_server import MilvusIndex
from serve_app.gallery.index_move.dual_write_index import DualWriteIndex
from serve_app.gallery.sql.schema import faces
from serve_app.observability import store_metrics
from serve_app.settings import Settings, StorageSettings
from tests.fakes.memory_index import MemoryIndex
from tests.gallery.index.test_milvus_index import EmbeddedServer
from tests.gallery.samples import CALIBRATIONS, MODEL, face, query, template
from tests.gallery.stores import check_consistent, embedded, in_memory

TENANT = DEFAULT_TENANT
PERSONS = 6

Row = dict[str, Any]


def fill(gallery: Gallery) -> None:
    gallery.create_collection(TENANT, NewCollection("staff"))
    for seed in range(PERSONS):
        gallery.put_person(TENANT, f"p{seed}", ["staff"], PersonFields(), [face(seed)])


def answer(gallery: Gallery, seed: int) -> list[str]:
    """Who is found for a person's own template."""
    return [match.person.id for match in gallery.search(TENANT, query(seed)).matches[0] if match.person]


def check_all_found(gallery: Gallery) -> None:
    assert [answer(gallery, seed) for seed in range(PERSONS)] == [[f"p{seed}"] for seed in range(PERSONS)]
    check_consistent(gallery)


def rewrite(index: MilvusIndex, change: Callable[[list[Row]], list[Row]]) -> None:
    """Write to the index as a stranger does, with the client of Milvus."""
    part = index._milvus_collections.find(MODEL)
    assert part is not None
    rows = index._client.query(part.name, filter="", output_fields=["*"], limit=1000)
    index._client.upsert(part.name, change([dict(row) for row in rows]))
    index._client.flush(part.name)


def lite(gallery: Gallery) -> MilvusIndex:
    assert isinstance(gallery._index, DualWriteIndex)
    index = gallery._index.layout.current
    assert isinstance(index, MilvusIndex)
    return index


def exchanged(rows: list[Row]) -> list[Row]:
    first, second = rows[:2]
    first["vector"], second["vector"] = second["vector"], first["vector"]
    return [first, second]


def scaled(rows: list[Row]) -> list[Row]:
    rows[0]["vector"] = [100.0] * len(rows[0]["vector"])
    return rows[:1]


def renamed(rows: list[Row]) -> list[Row]:
    return [{**rows[0], "pk": 'it\'s "no" id'}]


@pytest.mark.parametrize("change", [exchanged, scaled, renamed])
def test_rows_that_were_changed_on_the_disk_are_mended_at_the_next_start(
    tmp_path: Path, change: Callable[[list[Row]], list[Row]], caplog: pytest.LogCaptureFixture
) -> None:
    with embedded(tmp_path) as gallery:
        fill(gallery)
        rewrite(lite(gallery), change)
    with embedded(tmp_path) as gallery:
        check_all_found(gallery)
        assert gallery._index.count(MODEL) == PERSONS
        assert any(
            record.name.startswith("serve_app.gallery") and record.levelname == "ERROR" for record in caplog.records
        )
        warned = "index_differed" in gallery.ready()["warnings"]
        assert warned == (change is exchanged), "only rows that a comparison found are counted here"


def test_a_part_of_another_dimension_is_built_anew_at_the_next_start(tmp_path: Path) -> None:
    with embedded(tmp_path) as gallery:
        fill(gallery)
        gallery._index.drop(MODEL)
        gallery._index.upsert(MODEL, [IndexRow(RowKey("a" * 32, "b" * 32), template(1, dimension=64))])
    with embedded(tmp_path) as gallery:
        check_all_found(gallery)


def test_exchanged_rows_of_a_server_are_found_by_the_first_answer(tmp_path: Path) -> None:
    index = EmbeddedServer(str(tmp_path / "server.db"), "", "0" * 32, 10.0)
    with in_memory(tmp_path / "gallery", index) as gallery:
        fill(gallery)
        rewrite(index, exchanged)
        check_all_found(gallery)
        assert gallery._index_check.differed == 2
        assert "2 rows" in gallery.ready()["warnings"]["index_differed"]


@pytest.mark.milvus_server
def test_exchanged_rows_of_a_real_server_are_found_by_an_answer_or_the_next_start(
    tmp_path: Path, milvus: MilvusServer
) -> None:
    settings = Settings(data_dir=tmp_path, storage=StorageSettings(milvus_uri=milvus.uri))
    with closing(open_gallery(settings, CALIBRATIONS)) as gallery:
        fill(gallery)
        rewrite(lite(gallery), exchanged)
        deadline = time.monotonic() + 60
        while not gallery._index_check.differed:  # until the server's searches see what was written
            assert time.monotonic() < deadline
            for seed in range(PERSONS):
                assert answer(gallery, seed) in ([], [f"p{seed}"])
        gallery.maintain()
        check_all_found(gallery)
        rewrite(lite(gallery), exchanged)
    with closing(open_gallery(settings, CALIBRATIONS)) as gallery:
        check_all_found(gallery)


def exchange(index: MemoryIndex, gallery: Gallery, one: int, other: int) -> None:
    """Exchange the vectors of two persons' rows."""
    rows = index._models[MODEL]
    keys = {key.face_id: key for key in rows}
    first, second = (keys[gallery.person(TENANT, f"p{seed}").faces[0].id] for seed in (one, other))
    rows[first], rows[second] = rows[second], rows[first]


class Heard:
    """Counts what the stores report."""

    rows = 0

    def store_seconds(self, store: str, operation: str, seconds: float) -> None:
        pass

    def store_failed(self, store: str) -> None:
        pass

    def index_differed(self, rows: int) -> None:
        self.rows += rows


def test_what_a_sample_does_not_have_is_mended_by_the_comparison_that_an_answer_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_check, "SAMPLE", 0)
    monkeypatch.setattr(index_check, "STEP_ROWS", 4)
    index, heard = MemoryIndex(), Heard()
    with in_memory(tmp_path, index) as gallery:
        fill(gallery)
        exchange(index, gallery, 1, 2)
        exchange(index, gallery, 3, 4)
        assert gallery.recover().changed == 0
        store_metrics.listen(heard)
        try:
            assert answer(gallery, 1) == [], "the other person's row is not believed; the own one still differs"
            assert answer(gallery, 3) == [], "and no second repair follows at once"
            gallery.maintain()
        finally:
            store_metrics.listen(None)
        assert heard.rows == gallery._index_check.differed == 4
        assert not gallery._index_check._due
        check_all_found(gallery)


def test_a_start_compares_a_sample_of_each_collection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_check, "SAMPLE", 2)
    index = MemoryIndex()
    with in_memory(tmp_path, index) as gallery:
        fill(gallery)
        gallery.create_collection(TENANT, NewCollection("small"))
        gallery.put_person(TENANT, "alone", ["small"], PersonFields(), [face(20)])
        for key in index._models[MODEL]:
            index._models[MODEL][key] = template(21)
        assert gallery.recover().changed == 3


def test_an_answer_has_the_cosine_of_the_records(tmp_path: Path) -> None:
    index = MemoryIndex()
    with in_memory(tmp_path, index) as gallery:
        fill(gallery)
        (key,) = (key for key in index._models[MODEL] if key.face_id == gallery.person(TENANT, "p1").faces[0].id)
        index._models[MODEL][key] = template(50, near=1, cosine=0.999)
        (match,) = gallery.search(TENANT, query(1)).matches[0]
        assert match.distance == 0


class StrangeIndex(MemoryIndex):
    """Finds rows that it does not have as well."""

    strange: Sequence[RowKey] = ()
    cosine = 1.0

    def search(self, model: str, probes: Vectors, collections: Sequence[str], limit: int) -> list[list[Hit]]:
        found = super().search(model, probes, collections, limit)
        return [[*(Hit(key, self.cosine) for key in self.strange), *hits] for hits in found]


def test_rows_of_other_collections_and_malformed_ones_are_ignored(tmp_path: Path) -> None:
    index = StrangeIndex()
    with in_memory(tmp_path, index) as gallery:
        fill(gallery)
        gallery.create_collection(TENANT, NewCollection("other"))
        gallery.put_person(TENANT, "foreign", ["other"], PersonFields(), [face(1)])
        other, staff = (gallery.collection(TENANT, name).id for name in ("other", "staff"))
        foreign = gallery.person(TENANT, "foreign").faces[0].id
        index.strange = [RowKey(other, foreign), RowKey(staff, "it's"), RowKey("\0", ""), RowKey(staff, "c" * 32)]
        assert answer(gallery, 1) == ["p1"]
        index.strange, index.cosine = [RowKey(staff, gallery.person(TENANT, "p2").faces[0].id)], float("inf")
        assert answer(gallery, 1) == ["p1"]


@pytest.mark.parametrize(
    "stored", [b"\0\0\0", b"", np.full(128, np.nan, "<f4").tobytes(), np.full(128, 100, "<f4").tobytes()]
)
def test_a_damaged_template_in_the_records_costs_its_face_only(tmp_path: Path, stored: bytes) -> None:
    with in_memory(tmp_path) as gallery:
        fill(gallery)
        damaged = gallery.person(TENANT, "p1").faces[0].id
        with gallery._database.write() as connection:
            connection.execute(faces.update().where(faces.c.id == damaged).values(template=stored))
        assert gallery.recover().changed == 1
        assert [answer(gallery, seed) for seed in range(3)] == [["p0"], [], ["p2"]]
        assert gallery.reindex() == PERSONS - 1
        with pytest.raises(FaceIdNotFound):
            gallery.verify(TENANT, "p1", template(1)[None], MODEL)
        with pytest.raises(StoreUnavailable, match="damaged"):
            gallery.template(TENANT, damaged)


def test_templates_of_another_size_are_left_out(tmp_path: Path) -> None:
    with in_memory(tmp_path) as gallery:
        fill(gallery)
        other = gallery.person(TENANT, "p1").faces[0].id
        vector: NDArray[np.float32] = template(1, dimension=64)
        with gallery._database.write() as connection:
            connection.execute(faces.update().where(faces.c.id == other).values(template=vector.tobytes()))
        gallery.recover()
        assert [answer(gallery, seed) for seed in range(3)] == [["p0"], [], ["p2"]]
        assert gallery.reindex() == PERSONS - 1
