"""``facegraph index``: moving the vector index, with and without a running service."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from serve_app.cli import index as command
from serve_app.domain import DEFAULT_TENANT, NewCollection, PersonFields
from serve_app.gallery import Gallery, IndexMove, IndexMoves, open_database, open_gallery
from serve_app.gallery.index.locations import IndexLocation
from serve_app.gallery.index_move.migration import IndexMigrator
from serve_app.gallery.sql.records import index_location
from serve_app.gallery.sql.records.index_location import MoveState
from serve_app.settings import Settings
from tests.cli.conftest import facegraph
from tests.gallery.samples import CALIBRATIONS, face, query


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A gallery of ten people on milvus-lite, closed."""
    monkeypatch.setenv("FACEGRAPH_DATA_DIR", str(tmp_path / "data"))
    settings = Settings(data_dir=tmp_path / "data")
    with closing(open_gallery(settings, CALIBRATIONS)) as gallery:
        gallery.create_collection(DEFAULT_TENANT, NewCollection("staff"))
        for seed in range(10):
            gallery.put_person(DEFAULT_TENANT, f"p{seed}", ["staff"], PersonFields(), [face(seed, thumbnail=None)])
    return settings


def test_without_a_service_the_command_does_the_work(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "TAKEN_UP_WITHIN_S", 0.0)
    target = str(tmp_path / "elsewhere" / "index.db")
    done = facegraph("index", "move", "--to", target)
    assert done.exit_code == 0, done.stderr
    assert "10 rows are at the new location" in done.stderr
    assert f"Set storage.milvus_uri to {target}" in done.stderr
    status = json.loads(facegraph("index", "status", "--json").stdout)
    assert (status["place"], status["state"], status["done"], status["other"]) == (target, "none", 10, None)
    assert not Path(settings.milvus_uri).exists()
    with closing(open_gallery(settings, CALIBRATIONS)) as gallery:
        assert len(gallery.search(DEFAULT_TENANT, query(3)).matches[0]) == 1
    again = facegraph("index", "move", "--to", target)
    assert again.exit_code == 2
    assert "not empty" in again.stderr


@contextmanager
def working(gallery: Gallery) -> Iterator[None]:
    """The background work of a service on a gallery."""
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.05):
            gallery.maintain()
            gallery.move_index()

    service = threading.Thread(target=work)
    service.start()
    try:
        yield
    finally:
        stop.set()
        service.join()


def test_a_running_service_does_the_work_and_the_command_watches(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "POLL_S", 0.05)
    target = str(tmp_path / "elsewhere.db")
    with closing(open_gallery(settings, CALIBRATIONS)) as gallery:
        with working(gallery):
            done = facegraph("index", "move", "--to", target)
        assert done.exit_code == 0, done.stderr
        assert "No service runs" not in done.stderr
        assert gallery.ready()["warnings"]["index_moved"].startswith(f"The vector index is at {target}")
        assert len(gallery.search(DEFAULT_TENANT, query(3)).matches[0]) == 1


def test_a_move_back_waits_until_the_former_index_is_removed(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "POLL_S", 0.05)
    first, second = settings.milvus_uri, str(tmp_path / "elsewhere.db")
    removing = threading.Event()
    clear = IndexMigrator._clear

    def clear_late(migrator: IndexMigrator, row: IndexMove) -> None:
        if removing.is_set():  # once the command has said that it waits
            clear(migrator, row)

    monkeypatch.setattr(IndexMigrator, "_clear", clear_late)
    monkeypatch.setattr(command, "note", lambda text: removing.set() if "Waiting until" in text else None)
    with closing(open_gallery(settings, CALIBRATIONS)) as gallery:
        with working(gallery):
            there = facegraph("index", "move", "--to", second)
            back = facegraph("index", "move", "--to", first)
        assert there.exit_code == 0, there.stderr
        assert back.exit_code == 0, back.stderr
        assert removing.is_set()
        assert len(gallery.search(DEFAULT_TENANT, query(3)).matches[0]) == 1
    assert json.loads(facegraph("index", "status", "--json").stdout)["place"] == first


def test_a_removal_that_does_not_end_is_said(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "REMOVED_WITHIN_S", 0.0)
    with closing(open_database(settings)) as database:
        IndexMoves(database).begin(settings.milvus_uri, IndexLocation("http://former:19530"))
        database.transact(
            lambda c: index_location.change(
                c,
                index_location.get(c),
                MoveState.CLEARING,
                IndexLocation("http://new:19530"),
                IndexLocation("http://former:19530"),
            )
        )
    done = facegraph("index", "move", "--to", "http://former:19530")
    assert done.exit_code == 2
    assert "http://former:19530 is still being removed" in done.stderr
    assert "--cancel" in done.stderr


def test_a_move_that_was_given_up_is_said(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "REMOVED_WITHIN_S", 0.0)
    with closing(open_database(settings)) as database:
        moves = IndexMoves(database)
        moves.begin(settings.milvus_uri, IndexLocation(str(tmp_path / "x.db")))
        assert "0 of 0 rows" in facegraph("index", "status").stdout
        assert facegraph("index", "move", "--cancel").exit_code == 0
        assert moves.row().state is MoveState.CLEARING
        assert "it was cancelled" in facegraph("index", "status").stdout
        refused = facegraph("index", "move", "--to", str(tmp_path / "y.db"))
        assert refused.exit_code == 2
        assert "x.db is still being removed" in refused.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "Either --to or --cancel"),
        (("--to", "x.db", "--cancel"), "Either --to or --cancel"),
        (("--to", "nowhere"), "expected"),
        (("--cancel",), "no move"),
    ],
)
def test_what_cannot_be_is_said_in_words(settings: Settings, options: tuple[str, ...], words: str) -> None:
    done = facegraph("index", "move", *options)
    assert done.exit_code == 2
    assert words in done.stderr


def test_a_server_that_does_not_answer_changes_nothing(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEGRAPH_STORAGE__TIMEOUT_S", "1")
    done = facegraph("index", "move", "--to", "http://127.0.0.1:9")
    assert done.exit_code == 2
    assert "does not answer" in done.stderr
    assert json.loads(facegraph("index", "status", "--json").stdout)["state"] == "none"
