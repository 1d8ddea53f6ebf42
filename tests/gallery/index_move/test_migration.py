"""Moves of the index: no row is lost, no caller waits, and a target that fails changes nothing."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from scripts.servers.milvus import MilvusServer
from scripts.servers.postgres import PostgresServer
from serve_app.domain import DEFAULT_TENANT, NewCollection, PersonFields
from serve_app.errors import InvalidRequest, StoreUnavailable
from serve_app.gallery import Gallery, IndexMoves, open_gallery
from serve_app.gallery.blobs import BlobStore
from serve_app.gallery.index.locations import IndexLocation, parse
from serve_app.gallery.index_move import migration
from serve_app.gallery.index_move.dual_write_index import DualWriteIndex
from serve_app.gallery.index_move.migration import IndexMigrator
from serve_app.gallery.sql.database import Database
from serve_app.gallery.sql.migrations import upgrade_database
from serve_app.gallery.sql.records.index_location import MoveState
from serve_app.settings import Settings, StorageSettings
from tests.fakes.memory_index import MemoryIndex
from tests.gallery.samples import CALIBRATIONS, MODEL, face, query
from tests.gallery.stores import check_consistent

TENANT = DEFAULT_TENANT
HERE, THERE = IndexLocation("here.db"), IndexLocation("there.db")


class Unreliable(MemoryIndex):
    """An index that refuses changes while it is broken. Its rows survive closing, as on a server."""

    broken = False
    pending = 0

    def unindexed(self) -> int:
        return self.pending

    def upsert(self, model: str, rows: Any) -> None:
        if self.broken:
            raise StoreUnavailable("out of order")
        super().upsert(model, rows)


class World:
    """Indexes by location. They survive the processes that open them."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url, folder
        self.indexes: dict[str, Unreliable] = {}
        self.refused: set[str] = set()

    def open(self, location: IndexLocation) -> Unreliable:
        if location.uri in self.refused:
            raise StoreUnavailable("no answer")
        return self.indexes.setdefault(location.uri, Unreliable())

    def discard(self, location: IndexLocation) -> None:
        if location.uri in self.refused:
            raise StoreUnavailable("no answer")
        self.indexes.pop(location.uri, None)

    @contextmanager
    def process(self, configured: IndexLocation = HERE) -> Iterator[Gallery]:
        database = Database(self.url)
        upgrade_database(database)
        index = DualWriteIndex(database, self, configured)
        blobs = BlobStore(f"file://{self.folder / 'blobs'}")
        gallery = Gallery(
            database, index, blobs, CALIBRATIONS, alone=False, migrator=IndexMigrator(database, index, blobs)
        )
        with closing(gallery):
            gallery.recover()
            yield gallery


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres")
        return World(server.create_database(), tmp_path)
    return World(f"sqlite:///{tmp_path / 'records.db'}", tmp_path)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the waiting times of a move."""
    monkeypatch.setattr(migration, "KEPT_UP", dt.timedelta(seconds=1.5))
    monkeypatch.setattr(migration, "PAUSE_S", 0.2)


def fill(gallery: Gallery, number: int) -> None:
    gallery.create_collection(TENANT, NewCollection("staff"))
    for seed in range(number):
        gallery.put_person(TENANT, f"p{seed}", ["staff"], PersonFields(), [face(seed, thumbnail=None)])


def begin(gallery: Gallery, target: IndexLocation = THERE, configured: IndexLocation = HERE) -> IndexMoves:
    moves = IndexMoves(gallery._database)
    moves.begin(configured.uri, target)
    return moves


def finish(gallery: Gallery, until: MoveState = MoveState.NONE) -> None:
    deadline = time.monotonic() + 180  # for a busy machine that also runs a Milvus server
    while IndexMoves(gallery._database).row().state is not until:
        assert time.monotonic() < deadline, IndexMoves(gallery._database).row()
        if not gallery.move_index():
            gallery.maintain()
            time.sleep(0.02)


def finds(gallery: Gallery, seed: int) -> bool:
    found = [match.person for match in gallery.search(TENANT, query(seed)).matches[0]]
    return [person.id for person in found if person is not None] == [f"p{seed}"]


def test_rows_are_there_and_the_former_place_is_empty(world: World) -> None:
    with world.process() as gallery:
        fill(gallery, 20)
        before = set(gallery._index.keys(MODEL))
        begin(gallery)
        finish(gallery)
        assert set(world.indexes) == {THERE.uri}
        assert set(world.indexes[THERE.uri].keys(MODEL)) == before
        assert all(finds(gallery, seed) for seed in range(20))
        check_consistent(gallery)
        assert "index_moved" in gallery.ready()["warnings"]
    with world.process() as gallery:  # the settings still name the former location
        assert finds(gallery, 3)
        assert set(world.indexes) == {THERE.uri}
    with world.process(THERE) as gallery:
        assert finds(gallery, 3)
        assert gallery.ready()["warnings"] == {}


def test_every_process_writes_to_both_from_the_beginning_on(world: World) -> None:
    with world.process() as one, world.process() as other:
        fill(one, 5)
        moves = begin(one)
        other.put_person(TENANT, "p5", ["staff"], PersonFields(), [face(5, thumbnail=None)])
        other.delete_person(TENANT, "p1")
        assert [world.indexes[location.uri].count(MODEL) for location in (HERE, THERE)] == [5, 1]
        finish(one, MoveState.KEPT_UP)
        assert moves.row().location == THERE
        one.put_person(TENANT, "p6", ["staff"], PersonFields(), [face(6, thumbnail=None)])
        one.delete_person(TENANT, "p2")
        # The other process still searches the former location, and its results are correct.
        assert other._index.layout.current is world.indexes[HERE.uri]  # type: ignore[attr-defined]
        assert finds(other, 6)
        assert not finds(other, 2)
        finish(one)
        other.maintain()
        assert finds(other, 6)
        check_consistent(other)


def test_writers_never_stop_and_nothing_is_missing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migration, "ROWS", 7)
    with world.process() as one, world.process() as other:
        fill(one, 60)
        stop = threading.Event()
        written: list[int] = []
        failures: list[Exception] = []

        def write(gallery: Gallery, start: int) -> None:
            number = start
            try:
                while not stop.is_set():
                    gallery.put_person(TENANT, f"p{number}", ["staff"], PersonFields(), [face(number, thumbnail=None)])
                    if number % 5 == 0:
                        gallery.delete_person(TENANT, f"p{number}")
                    else:
                        written.append(number)
                    assert finds(gallery, 3)
                    number += 1
            except Exception as error:
                failures.append(error)

        writers = [
            threading.Thread(target=write, args=(gallery, start)) for gallery, start in ((one, 1000), (other, 2000))
        ]
        for thread in writers:
            thread.start()
        try:
            begin(one)
            finish(one)
            deadline = time.monotonic() + 180
            while len(written) <= 5 and not failures and time.monotonic() < deadline:
                time.sleep(0.05)  # on a busy machine
        finally:
            stop.set()
            for thread in writers:
                thread.join()
        assert not failures
        assert len(written) > 5
        other.maintain()
        check_consistent(one)
        assert all(finds(gallery, seed) for gallery in (one, other) for seed in (*range(60), *written))


def test_searches_stay_until_the_new_place_has_indexed_its_rows(world: World) -> None:
    with world.process() as gallery:
        fill(gallery, 5)
        moves = begin(gallery)
        there = world.indexes.setdefault(THERE.uri, Unreliable())
        there.pending = 5
        for _ in range(50):
            gallery.move_index()
            gallery.maintain()
            assert finds(gallery, 3)
        assert moves.row().state is MoveState.COPYING
        assert "they are being indexed" in gallery.ready()["warnings"]["index_moving"]
        there.pending = 0
        finish(gallery)
        assert set(world.indexes) == {THERE.uri}
        assert finds(gallery, 3)


def test_a_search_that_is_under_way_is_waited_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on, closed = threading.Event(), threading.Event(), threading.Event()
    with world.process() as gallery:
        fill(gallery, 3)
        former = world.indexes[HERE.uri]
        search = former.search

        def slow(*args: Any) -> Any:
            begun.set()
            assert go_on.wait(60)
            assert not closed.is_set()
            return search(*args)

        monkeypatch.setattr(former, "search", slow)
        monkeypatch.setattr(former, "close", closed.set)
        with ThreadPoolExecutor() as pool:
            found = pool.submit(finds, gallery, 1)
            assert begun.wait(60)
            begin(gallery)
            finish(gallery, MoveState.CLEARING)
            for _ in range(3):
                gallery.move_index()
            assert finds(gallery, 1), "other searches use the new location"
            assert HERE.uri in world.indexes
            assert not closed.is_set()
            go_on.set()
            assert found.result()
        finish(gallery)
        assert closed.is_set()
        assert set(world.indexes) == {THERE.uri}


def test_a_process_that_died_is_followed_by_another(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migration, "ROWS", 5)
    monkeypatch.setattr(migration, "STEP_S", 0.0)
    monkeypatch.setattr(migration, "LEASE", dt.timedelta(0))
    with world.process() as gallery:
        fill(gallery, 20)
        begin(gallery)
        for _ in range(3):
            gallery.move_index()
        assert 0 < IndexMoves(gallery._database).row().done < 20
    with world.process() as gallery:
        assert "index_moving" in gallery.ready()["warnings"]
        finish(gallery)
        check_consistent(gallery)
        assert set(world.indexes) == {THERE.uri}


def test_a_target_that_fails_ends_the_move_and_writes_go_on(world: World) -> None:
    with world.process() as gallery:
        fill(gallery, 5)
        moves = begin(gallery)
        gallery.maintain()
        world.indexes[THERE.uri].broken = True
        with pytest.raises(StoreUnavailable):
            gallery.put_person(TENANT, "q", ["staff"], PersonFields(), [face(50, thumbnail=None)])
        assert finds(gallery, 3), "searches are not affected"
        gallery.maintain()
        gallery.put_person(TENANT, "p51", ["staff"], PersonFields(), [face(51, thumbnail=None)])
        assert finds(gallery, 51)
        finish(gallery)
        assert "out of order" in moves.row().error
        assert moves.row().location == HERE
        assert set(world.indexes) == {HERE.uri}, "what was copied is removed"
        check_consistent(gallery)


def test_an_erasure_is_not_confirmed_by_half_of_the_places(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with world.process() as gallery:
        fill(gallery, 3)
        moves = begin(gallery)
        gallery.maintain()

        def away(model: str, face_ids: Any) -> set[Any]:
            raise StoreUnavailable("no answer")

        monkeypatch.setattr(world.indexes[THERE.uri], "rows_of", away)
        with pytest.raises(StoreUnavailable):
            gallery._index.rows_of(MODEL, ["a" * 32])
        gallery.maintain()
        assert moves.row().state is MoveState.CLEARING
        assert gallery._index.rows_of(MODEL, ["a" * 32]) == set()


def test_a_worker_without_a_sign_of_life_counts_as_none(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migration, "LEASE", dt.timedelta(seconds=3))
    monkeypatch.setattr(migration, "ROWS", 1)
    monkeypatch.setattr(migration, "STEP_S", 0.0)
    with world.process() as gallery:
        fill(gallery, 3)
        moves = begin(gallery)
        assert moves.row().worker is None
        gallery.move_index()
        assert moves.row().worker is not None
        deadline = time.monotonic() + 60
        while moves.row().worker is not None:
            assert time.monotonic() < deadline, "the worker counts for longer than its lease of 3 s"
            time.sleep(0.05)


def test_a_target_that_cannot_be_opened_ends_the_move(world: World) -> None:
    with world.process() as gallery:
        fill(gallery, 2)
        world.refused = {THERE.uri}
        moves = begin(gallery)
        for _ in range(3):
            gallery.maintain()
        assert moves.row().state is MoveState.CLEARING
        gallery.put_person(TENANT, "p2", ["staff"], PersonFields(), [face(2, thumbnail=None)])
        for _ in range(3):
            gallery.move_index()
        assert moves.row().state is MoveState.CLEARING, "tried again until it answers"
        moves.cancel()
        assert moves.row().state is MoveState.NONE
        with pytest.raises(InvalidRequest, match="no move"):
            moves.cancel()


def test_a_start_does_without_a_target_that_is_away(world: World) -> None:
    with world.process() as gallery:
        fill(gallery, 2)
        begin(gallery)
    world.refused = {THERE.uri}
    with world.process() as gallery:
        gallery.put_person(TENANT, "p2", ["staff"], PersonFields(), [face(2, thumbnail=None)])
        assert IndexMoves(gallery._database).row().state is MoveState.CLEARING
        assert finds(gallery, 2)


def test_a_move_is_cancelled_and_another_begins(world: World) -> None:
    with world.process() as gallery:
        fill(gallery, 5)
        moves = begin(gallery)
        gallery.maintain()
        with pytest.raises(InvalidRequest, match="under way"):
            moves.begin(HERE.uri, IndexLocation("third.db"))
        moves.cancel()
        finish(gallery)
        assert set(world.indexes) == {HERE.uri}
        begin(gallery, IndexLocation("third.db"))
        finish(gallery)
        assert set(world.indexes) == {"third.db"}
        with pytest.raises(InvalidRequest, match="already"):
            moves.begin(HERE.uri, IndexLocation("third.db"))
        check_consistent(gallery)


def test_a_place_that_is_configured_later_takes_precedence(world: World) -> None:
    with world.process() as gallery:
        fill(gallery, 5)
        begin(gallery)
        finish(gallery)
    with world.process(IndexLocation("third.db")) as gallery:
        assert finds(gallery, 3), "it is filled from the records"
        assert IndexMoves(gallery._database).row().location is None
        check_consistent(gallery)


def test_the_token_of_a_server_is_kept_encrypted_where_there_is_a_key(world: World) -> None:
    with world.process() as gallery:
        fill(gallery, 1)
        moves = begin(gallery, IndexLocation("there.db", SecretStr("user:secret")))
        finish(gallery, MoveState.KEPT_UP)
        location = moves.row().location
        assert location is not None
        assert location.token is not None
        assert location.token.get_secret_value() == "user:secret"
        assert "secret" not in str(moves.row())


@pytest.mark.parametrize(
    "text", ["", "milvus", "ftp://host", "http://", "http://user:pass@host:1", "http://host:1/path", "x.txt"]
)
def test_what_is_no_place_is_refused_in_words(text: str) -> None:
    with pytest.raises(InvalidRequest, match="expected"):
        parse(text)


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.db").mkdir()
    assert parse(str(tmp_path / "x.db")).uri == str(tmp_path / "x.db")
    (tmp_path / "x.db" / "mine").touch()
    with pytest.raises(InvalidRequest, match="not empty"):
        parse(str(tmp_path / "x.db"))


@pytest.mark.milvus_server
def test_from_milvus_lite_to_a_server_and_back(tmp_path: Path, milvus: MilvusServer) -> None:
    """Writers and searches are active during both moves."""
    settings = Settings(data_dir=tmp_path, storage=StorageSettings(timeout_s=10))
    with closing(open_gallery(settings, CALIBRATIONS)) as gallery:
        fill(gallery, 100)
        stop = threading.Event()
        written: list[int] = []
        failures: list[Any] = []
        waits: list[float] = []

        def write() -> None:
            number = 1000
            try:
                while not stop.is_set():
                    gallery.put_person(TENANT, f"p{number}", ["staff"], PersonFields(), [face(number, thumbnail=None)])
                    written.append(number)
                    if number % 3 == 0:
                        gallery.delete_person(TENANT, f"p{number - 1}")
                        written.remove(number - 1)
                    number += 1
            except Exception as error:
                failures.append(error)

        def search() -> None:
            seed = 0
            try:
                while not stop.is_set():
                    began = time.monotonic()
                    assert finds(gallery, seed % 100), seed
                    waits.append(time.monotonic() - began)
                    seed += 1
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=write), threading.Thread(target=search)]
        for thread in threads:
            thread.start()
        kinds = []
        try:
            for target in (IndexLocation(milvus.uri), IndexLocation(str(tmp_path / "again.db"))):
                begin(gallery, target, IndexLocation(settings.milvus_uri))
                finish(gallery)
                kinds.append(gallery.ready()["index"]["kind"])
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert not failures
        assert kinds == ["milvus", "milvus-lite"]
        assert written
        assert len(waits) > 20
        check_consistent(gallery)
        assert all(finds(gallery, seed) for seed in (*range(100), *written))
        assert not (tmp_path / "index.db").exists()
        print(f"{len(written)} written, {len(waits)} searches, the slowest {max(waits):.3f} s")
