"""Metrics of the stores' calls, recorded by the real stores."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from serve_app.errors import PersonNotFound, StoreUnavailable
from serve_app.gallery.blobs import BlobStore
from serve_app.gallery.index.circuit_breaker import CircuitBreaker, IndexUnavailable
from serve_app.gallery.sql.database import Database
from serve_app.observability import store_metrics, tracing
from serve_app.observability.metrics import Metrics

TENANT, FACE = "0" * 32, "f" * 32


class Heard:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.failed: list[str] = []
        self.differed = 0

    def store_seconds(self, store: str, operation: str, seconds: float) -> None:
        assert seconds >= 0
        self.calls.append((store, operation))

    def store_failed(self, store: str) -> None:
        self.failed.append(store)

    def index_differed(self, rows: int) -> None:
        self.differed += rows


@pytest.fixture
def heard() -> Iterator[Heard]:
    listener = Heard()
    store_metrics.listen(listener)
    yield listener
    store_metrics.listen(None)


def test_calls_of_each_store_are_told(heard: Heard, tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/records.db")
    with database.read() as connection:
        connection.execute(sa.text("SELECT 1"))
    with database.write() as connection:
        connection.execute(sa.text("CREATE TABLE t (x INTEGER)"))
    database.close()
    blobs = BlobStore(f"file://{tmp_path}/blobs")
    blobs.write(TENANT, FACE, "thumbnail", b"x")
    blobs.read(TENANT, FACE, "thumbnail")
    blobs.delete(TENANT, FACE)
    images = [("images", operation) for operation in ("write", "read", "delete")]
    assert heard.calls == [("records", "read"), ("records", "write"), *images]
    assert heard.failed == []


def test_a_failure_is_told_once_with_the_store_that_failed(heard: Heard, tmp_path: Path) -> None:
    blobs = BlobStore(f"file://{tmp_path}/blobs")
    (tmp_path / "blobs").rmdir()
    (tmp_path / "blobs").touch()
    database = Database(f"sqlite:///{tmp_path}/records.db")
    with pytest.raises(StoreUnavailable), database.write():
        blobs.write(TENANT, FACE, "thumbnail", b"x")  # the transaction around it did not fail
    assert heard.failed == ["images"]
    with pytest.raises(StoreUnavailable), database.read() as connection:
        raise sa.exc.OperationalError("SELECT 1", {}, OSError("gone"))
    database.close()
    assert heard.failed == ["images", "records"]
    assert connection.closed


def test_what_is_refused_is_no_failure(heard: Heard, tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/records.db")
    with pytest.raises(StoreUnavailable), database.read():
        raise sa.exc.IntegrityError("INSERT", {}, ValueError("taken"))
    with pytest.raises(PersonNotFound), database.read():
        raise PersonNotFound("nobody")
    database.close()
    assert (heard.calls, heard.failed) == ([("records", "read")] * 2, [])


def test_a_silent_index_is_told_of_at_each_call(heard: Heard) -> None:
    def ask(_: float) -> object:
        raise OSError("silent")

    calls = CircuitBreaker(ask, timeout_s=0)
    for _ in range(2):
        with pytest.raises(IndexUnavailable), calls.guard():
            raise OSError("timed out")
    assert heard.failed == ["index", "index"]
    with pytest.raises(IndexUnavailable):
        calls.probe()
    assert heard.failed == ["index"] * 3


def test_stages_are_timed_elsewhere(heard: Heard) -> None:
    with Metrics("matcher").operation("search"), tracing.span("index search"):
        pass
    assert heard.calls == [("index", "search")]
