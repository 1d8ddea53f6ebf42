"""Crashes and outages: acknowledged changes are stored, refused ones are not, and no change is incomplete."""

from __future__ import annotations

import datetime as dt
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from serve_app.domain import DEFAULT_TENANT, ImageStorage, NewCollection, PersonFields
from serve_app.errors import ConfigurationError, FaceIdNotFound, PersonNotFound, StoreUnavailable
from serve_app.gallery import open_gallery
from serve_app.gallery.blobs import BlobStore
from serve_app.gallery.index.base import IndexRow, RowKey
from serve_app.gallery.index.milvus_lite import LiteIndex
from serve_app.gallery.index_move.dual_write_index import DualWriteIndex
from serve_app.gallery.sql.records import journal
from serve_app.gallery.sql.schema import index_journal
from serve_app.settings import Settings
from tests.fakes.memory_index import MemoryIndex
from tests.gallery.samples import CALIBRATIONS, MODEL, face, query, template
from tests.gallery.stores import check_consistent, embedded, in_memory

TENANT = DEFAULT_TENANT
ROOT = Path(__file__).resolve().parents[2]

ENROLLER = """
import os
import sys
from pathlib import Path
from serve_app.domain import DEFAULT_TENANT, PersonFields
from tests.gallery.samples import face
from tests.gallery.stores import embedded
import serve_app.gallery.index.milvus_server  # what takes seconds to import is imported before the first fork

def enroll(start):
    with embedded(Path(sys.argv[1])) as gallery:
        print("ready", flush=True)
        for number in range(start, start + 1000):
            faces = [face(number), face(100_000 + number)]
            gallery.put_person(DEFAULT_TENANT, f"p{number}", ["staff"], PersonFields(), faces)
            print("put", number, flush=True)
            if number % 3 == 0:
                gallery.put_person(DEFAULT_TENANT, f"p{number}", [], PersonFields(), [face(200_000 + number)])
                print("replaced", number, flush=True)
            if number % 4 == 0:
                gallery.delete_person(DEFAULT_TENANT, f"p{number}")
                print("deleted", number, flush=True)

for line in sys.stdin:
    process = os.fork()
    if process == 0:
        enroll(int(line))
    print("started", process, flush=True)
    os.waitpid(process, 0)
    print("died", flush=True)
"""


class FailingIndex(MemoryIndex):
    """An index that fails the operations named in ``broken``, before or (``late``) after doing them."""

    def __init__(self) -> None:
        super().__init__()
        self.broken: set[str] = set()
        self.late = False

    def upsert(self, model: str, rows: Any) -> None:
        self._fail("upsert", lambda: MemoryIndex.upsert(self, model, rows))

    def delete(self, model: str, keys: Any) -> None:
        self._fail("delete", lambda: MemoryIndex.delete(self, model, keys))

    def _fail(self, name: str, work: Any) -> None:
        if name not in self.broken:
            return work()
        if self.late:
            work()  # the call reaches the store, its answer is lost
        raise StoreUnavailable("out of order")


class FailingBlobs(BlobStore):
    """An images store that fails while it is ``broken``."""

    broken = False

    def write(self, *arguments: Any) -> None:
        if self.broken:
            raise StoreUnavailable("out of order")
        super().write(*arguments)

    def delete(self, *arguments: Any) -> None:
        if self.broken:
            raise StoreUnavailable("out of order")
        super().delete(*arguments)


def test_a_comparison_leaves_rows_of_a_writer_that_has_not_committed(tmp_path: Path) -> None:
    """What another process sees of a writer between its last index row and its commit."""
    with in_memory(tmp_path) as gallery:
        gallery.create_collection(TENANT, NewCollection("staff"))
        key = RowKey(gallery.collection(TENANT, "staff").id, "a" * 32)
        entries = gallery._database.transact(lambda c: journal.add(c, TENANT, {key.face_id: MODEL}))
        gallery._index.upsert(MODEL, [IndexRow(key, template(1))])
        assert gallery._repairer.compare(MODEL) == (0, 0)
        assert list(gallery._index.keys(MODEL)) == [key]
        gallery._database.transact(lambda c: journal.remove(c, entries))
        assert gallery._repairer.compare(MODEL) == (0, 1)
        check_consistent(gallery)


def test_a_writer_whose_entries_a_repair_took_begins_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with in_memory(tmp_path) as gallery:
        gallery.create_collection(TENANT, NewCollection("staff"))
        write = gallery._blobs.write
        settled = []

        def write_slowly(*arguments: Any) -> None:
            write(*arguments)
            if not settled:
                settled.append(gallery._repairer.settle_journal(age=dt.timedelta(0)))

        monkeypatch.setattr(gallery._blobs, "write", write_slowly)
        (stored,) = gallery.put_person(TENANT, "p", ["staff"], PersonFields(), [face(1)]).faces
        assert settled == [1], "the repair took the entry, and erased the image of a face that it did not know"
        assert gallery.face_image(TENANT, stored.id, "thumbnail") == b"thumbnail"
        check_consistent(gallery)


def test_a_repair_leaves_what_a_living_writer_is_working_on(tmp_path: Path) -> None:
    with in_memory(tmp_path) as gallery:
        (entry,) = gallery._database.transact(lambda c: journal.add(c, TENANT, {"a" * 32: MODEL}))
        assert gallery.retry_journal() == 0
        with gallery._database.write() as connection:
            assert [row.id for row in journal.pending(connection, 10)] == [entry]
            minute_ago = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=61)
            connection.execute(index_journal.update().values(created=minute_ago))
        assert gallery.retry_journal() == 1


def test_what_a_failed_writer_gave_up_is_repaired_as_soon_as_the_index_is_back(tmp_path: Path) -> None:
    index = FailingIndex()
    with in_memory(tmp_path, index) as gallery:
        gallery.create_collection(TENANT, NewCollection("staff"))
        gallery.put_person(TENANT, "p", ["staff"], PersonFields(), [face(1)])
        index.broken, index.late = {"delete"}, True
        with pytest.raises(StoreUnavailable):
            gallery.delete_person(TENANT, "p")
        assert list(index.keys(MODEL)) == [], "the deletion reached the index, its answer did not come back"
        index.broken = set()
        gallery.maintain()
        check_consistent(gallery)
        assert gallery.search(TENANT, query(1)).matches[0]


def test_faces_that_are_added_during_a_deletion_are_in_the_journal_before_they_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise nothing says that they must be repaired if the deletion fails."""
    index = FailingIndex()
    with in_memory(tmp_path, index) as gallery:
        gallery.create_collection(TENANT, NewCollection("staff"))
        gallery.put_person(TENANT, "p", ["staff"], PersonFields(), [face(1)])
        store = gallery._writer._store

        def add_another_face(*arguments: Any) -> None:
            monkeypatch.undo()
            store(*arguments)
            gallery.put_person(TENANT, "p", ["staff"], PersonFields(), [face(2)], "add")
            index.broken, index.late = {"delete"}, True

        monkeypatch.setattr(gallery._writer, "_store", add_another_face)
        with pytest.raises(StoreUnavailable):
            gallery.delete_person(TENANT, "p")
        index.broken = set()
        gallery._repairer.settle_journal(age=dt.timedelta(0))
        check_consistent(gallery)
        assert len(gallery.person(TENANT, "p").faces) == 2


@pytest.mark.parametrize("committed", [True, False])
def test_a_database_that_is_lost_during_the_commit_leaves_all_or_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, committed: bool
) -> None:
    with in_memory(tmp_path) as gallery:
        gallery.create_collection(TENANT, NewCollection("staff"))
        write, lost = gallery._database.write, []

        @contextmanager
        def write_and_lose() -> Iterator[Any]:
            with write() as connection:
                yield connection
                if commits and not committed:
                    lost.append(True)
                    raise StoreUnavailable("The database does not answer; try again.")
            if commits and not lost:
                lost.append(True)
                raise StoreUnavailable("The database does not answer; try again.")

        commits: list[bool] = []
        commit = gallery._writer._commit

        def noted(*arguments: Any) -> Any:
            result = commit(*arguments)
            commits.append(True)
            return result

        monkeypatch.setattr(gallery._database, "write", write_and_lose)
        monkeypatch.setattr(gallery._writer, "_commit", noted)
        with pytest.raises(StoreUnavailable) as raised:
            gallery.put_person(TENANT, "p", ["staff"], PersonFields(), [face(1)])
        monkeypatch.undo()
        assert lost
        assert raised.value.details == {"outcome": "unknown"}
        gallery._repairer.settle_journal(age=dt.timedelta(0))
        check_consistent(gallery)
        if committed:
            (stored,) = gallery.person(TENANT, "p").faces
            assert gallery.face_image(TENANT, stored.id, "thumbnail") == b"thumbnail"
        else:
            with pytest.raises(PersonNotFound):
                gallery.person(TENANT, "p")
            assert gallery._blobs.count(TENANT) == 0


def test_what_a_dead_writer_left_of_an_image_goes_with_its_face(tmp_path: Path) -> None:
    blobs = BlobStore(f"file://{tmp_path}")
    name = "ab" * 16
    blobs.write(TENANT, name, "thumbnail", b"content")
    (stored,) = (path for path in tmp_path.rglob("*") if path.is_file())
    stored.with_name(f".{stored.name}.partial").write_bytes(b"cont")
    blobs.delete(TENANT, name)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_an_image_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[tuple[str, str]] = []
    fsync, replace = os.fsync, Path.replace

    def noted_fsync(descriptor: int) -> None:
        steps.append(("fsync", Path(f"/proc/self/fd/{descriptor}").resolve().name))
        fsync(descriptor)

    def noted_replace(path: Path, target: Path) -> Path:
        steps.append(("rename", path.name))
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "replace", noted_replace)
    blobs = BlobStore(f"file://{tmp_path}")
    name = "ab" * 16
    blobs.write(TENANT, name, "thumbnail", b"content")
    temporary = f".{name}.thumbnail.partial"
    assert steps == [("fsync", temporary), ("rename", temporary), ("fsync", "ab")]


@pytest.mark.parametrize("late", [False, True])
def test_an_index_outage_leaves_everything_as_it_was(tmp_path: Path, late: bool) -> None:
    index = FailingIndex()
    with in_memory(tmp_path, index) as gallery:
        gallery.create_collection(TENANT, NewCollection("staff"))
        gallery.create_collection(TENANT, NewCollection("guests"))
        before = gallery.put_person(TENANT, "p", ["staff"], PersonFields(name="old"), [face(1), face(2)]).person
        index.broken, index.late = {"upsert", "delete"}, late
        for call in (
            lambda: gallery.put_person(TENANT, "new", ["staff"], PersonFields(), [face(3)]),
            lambda: gallery.put_person(TENANT, "p", ["staff"], PersonFields(name="new"), [face(3)]),
            lambda: gallery.put_person(TENANT, "p", ["guests"], PersonFields(name="new")),
            lambda: gallery.delete_face(TENANT, before.faces[0].id),
            lambda: gallery.delete_person(TENANT, "p"),
            lambda: gallery.delete_collection(TENANT, "staff"),
        ):
            with pytest.raises(StoreUnavailable):
                call()
        index.broken = set()
        assert gallery.person(TENANT, "p") == before
        with pytest.raises(PersonNotFound):
            gallery.person(TENANT, "new")
        gallery._repairer.settle_journal(age=dt.timedelta(0))
        check_consistent(gallery)
        assert [len(found) for found in gallery.search(TENANT, query(1, 2, 3)).matches] == [1, 1, 0]


def test_an_image_store_outage(tmp_path: Path) -> None:
    with in_memory(tmp_path) as gallery:
        blobs = FailingBlobs(f"file://{tmp_path / 'blobs'}")
        gallery._writer._blobs = gallery._repairer._blobs = gallery._blobs = blobs
        gallery.create_collection(TENANT, NewCollection("staff"))
        (stored,) = gallery.put_person(TENANT, "p", ["staff"], PersonFields(), [face(1)]).faces
        blobs.broken = True
        with pytest.raises(StoreUnavailable):
            gallery.put_person(TENANT, "q", ["staff"], PersonFields(), [face(2)])
        with pytest.raises(StoreUnavailable) as half:
            gallery.delete_person(TENANT, "p")
        assert half.value.details == {"pending": "images"}
        for missing in ("p", "q"):
            with pytest.raises(PersonNotFound):
                gallery.person(TENANT, missing)
        with pytest.raises(FaceIdNotFound):
            gallery.face_image(TENANT, stored.id, "thumbnail")
        blobs.broken = False
        assert blobs.read(TENANT, stored.id, "thumbnail") == b"thumbnail"
        assert gallery.recover().settled == 2
        assert blobs.read(TENANT, stored.id, "thumbnail") is None
        check_consistent(gallery)


def test_a_deletion_that_cannot_be_confirmed_says_that_it_was_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with in_memory(tmp_path) as gallery:
        gallery.create_collection(TENANT, NewCollection("staff"))
        gallery.put_person(TENANT, "p", ["staff"], PersonFields(), [face(1)])

        def away(changes: object) -> dict[str, int]:
            raise StoreUnavailable("The database does not answer; try again.")

        monkeypatch.setattr(gallery._eraser, "residue", away)
        with pytest.raises(StoreUnavailable) as raised:
            gallery.delete_person(TENANT, "p")
        assert raised.value.details == {"pending": "receipt"}
        with pytest.raises(PersonNotFound):
            gallery.person(TENANT, "p")


@pytest.mark.slow
def test_killing_the_process_at_random_moments(tmp_path: Path) -> None:
    with embedded(tmp_path) as gallery:
        gallery.create_collection(TENANT, NewCollection("staff"))
    rng = random.Random(20)
    acknowledged: dict[int, str] = {}
    with subprocess.Popen(
        [sys.executable, "-c", ENROLLER, str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        for life in range(10):
            print(1000 * life, file=parent.stdin, flush=True)
            child = None
            ready = False
            while child is None or not ready:
                word, *rest = parent.stdout.readline().split()
                child = int(rest[0]) if word == "started" else child
                ready = ready or word == "ready"
            time.sleep(rng.uniform(0.02, 0.6))
            os.kill(child, signal.SIGKILL)
            while (words := parent.stdout.readline().split()) != ["died"]:
                acknowledged[int(words[1])] = words[0]
        parent.stdin.close()
    assert len(acknowledged) > 10
    with embedded(tmp_path) as gallery:
        check_consistent(gallery)
        persons = {}
        cursor = None
        while True:
            page = gallery.persons(TENANT, limit=1000, cursor=cursor)
            persons.update({int(person.id[1:]): person for person in page.items})
            cursor = page.cursor
            if cursor is None:
                break
        for number, event in acknowledged.items():
            # The next step of the same number may have been committed without having been acknowledged.
            if event == "put":
                assert number in persons or number % 4 == 0
            elif event == "replaced":
                assert number in persons or number % 4 == 0
                assert number not in persons or len(persons[number].faces) == 1
            else:
                assert number not in persons
        for number, person in persons.items():
            assert len(person.faces) in (1, 2)
            seed = number if len(person.faces) == 2 else 200_000 + number
            # The best match only: of about 100,000 pairs of different persons, one reaches the threshold by chance.
            (match,) = gallery.search(TENANT, query(seed, max_results=1)).matches[0]
            assert match.person == person
            for stored in person.faces:
                assert gallery.face_image(TENANT, stored.id, "thumbnail") == b"thumbnail"
        # Each killed process may have stored one person, the current one, without an acknowledgement.
        assert len(persons.keys() - acknowledged.keys()) <= 10


def test_a_lost_or_foreign_index_is_rebuilt(tmp_path: Path) -> None:
    with embedded(tmp_path) as gallery:
        gallery.create_collection(TENANT, NewCollection("staff"))
        for seed in range(5):
            gallery.put_person(TENANT, f"p{seed}", ["staff"], PersonFields(), [face(seed)])
    shutil.rmtree(tmp_path / "index.db")
    with embedded(tmp_path) as gallery:
        check_consistent(gallery)
        assert gallery.search(TENANT, query(3)).matches[0][0].person == gallery.person(TENANT, "p3")
        stray = RowKey("a" * 32, "b" * 32)
        gallery._index.upsert(MODEL, [IndexRow(stray, template(3))])
        gallery._index.delete(MODEL, [next(key for key in gallery._index.keys(MODEL) if key != stray)])
        recovery = gallery.recover()
        assert (recovery.settled, recovery.added, recovery.removed) == (0, 1, 1)
        check_consistent(gallery)


def test_reindexing_reports_progress(tmp_path: Path) -> None:
    with embedded(tmp_path) as gallery:
        gallery.create_collection(TENANT, NewCollection("staff"))
        gallery.put_person(TENANT, "p", ["staff"], PersonFields(), [face(seed) for seed in range(7)])
        seen: list[tuple[int, int]] = []
        assert gallery.reindex(progress=lambda done, total: seen.append((done, total))) == 7
        assert seen == [(7, 7)]
        check_consistent(gallery)


def test_unflushed_rows_are_flushed_when_idle(tmp_path: Path) -> None:
    with embedded(tmp_path) as gallery:
        assert isinstance(gallery._index, DualWriteIndex)
        index = gallery._index.layout.current
        assert isinstance(index, LiteIndex)
        gallery.create_collection(TENANT, NewCollection("staff"))
        gallery.put_person(TENANT, "p", ["staff"], PersonFields(), [face(1)])
        gallery.maintain()
        assert sum(index._unflushed.values()) == 1
        index._last_write -= 2
        gallery.maintain()
        assert not index._unflushed


@pytest.mark.slow
def test_a_second_process_is_told_why_it_cannot_start(tmp_path: Path) -> None:
    with embedded(tmp_path):
        code = f"from pathlib import Path; from tests.gallery.stores import embedded; embedded(Path({str(tmp_path)!r}))"
        second = subprocess.run(
            [sys.executable, "-c", f"{code}.__enter__()"], cwd=ROOT, capture_output=True, text=True, timeout=240
        )
    assert second.returncode == 1
    assert "another process has it open" in second.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("storage", "message"),
    [
        ({"database_url": "mysql://x/y"}, "SQLite or PostgreSQL"),
        ({"database_url": "nonsense"}, "not a database URL"),
        ({"database_url": "sqlite://"}, "must be a file"),
        ({"milvus_uri": "index"}, "ending in .db"),
        ({"blobs_url": "nonsense://x"}, "blobs_url"),
    ],
)
def test_impossible_settings_are_refused_in_words(tmp_path: Path, storage: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        open_gallery(Settings(data_dir=tmp_path, storage=storage), CALIBRATIONS)  # type: ignore[arg-type]


def test_unreachable_servers_are_reported(tmp_path: Path) -> None:
    nowhere = "http://127.0.0.1:9"
    with pytest.raises(StoreUnavailable, match="vector index"):
        open_gallery(Settings(data_dir=tmp_path, storage={"milvus_uri": nowhere, "timeout_s": 1}), CALIBRATIONS)  # type: ignore[arg-type]
    url = "postgresql://nobody:secret@127.0.0.1:9/none"
    with pytest.raises(StoreUnavailable, match="database") as error:
        open_gallery(Settings(data_dir=tmp_path, storage={"database_url": url}), CALIBRATIONS)  # type: ignore[arg-type]
    assert "secret" not in str(error.value)


def test_files_are_private_and_photographs_whole(tmp_path: Path) -> None:
    with embedded(tmp_path) as gallery:
        gallery.create_collection(TENANT, NewCollection("staff"))
        new = face(1, storage=ImageStorage.FULL, photograph=bytes(range(256)) * 1000)
        (stored,) = gallery.put_person(TENANT, "p", ["staff"], PersonFields(), [new]).faces
        assert gallery.face_image(TENANT, stored.id, "photograph") == new.photograph
        for path in ((tmp_path / "records.db"), *(tmp_path / "blobs").rglob("*.*")):
            assert path.stat().st_mode & 0o077 == 0
