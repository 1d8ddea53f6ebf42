"""Enrolment of many persons in parallel through an enrolment target, and what the next run skips."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from serve_app.bulk.bounded_concurrency import outcomes
from serve_app.bulk.checkpoint import Checkpoint
from serve_app.bulk.enroller import Enroller, Mode, Refused, TargetUnreachable, batches
from serve_app.bulk.entries import BadSource, Entry, Outcome, PictureFile, Status
from serve_app.bulk.files import Files
from serve_app.bulk.worklist import WorkList


@dataclass
class FakeTarget:
    """An enrolment target with a dictionary. Images that begin with ``bad`` are refused; ``faults`` come first."""

    faces: dict[str, list[bytes]] = field(default_factory=dict)
    calls: list[tuple[Mode, int]] = field(default_factory=list)
    faults: list[Exception | None] = field(default_factory=list)
    comes_back: bool = True

    async def put(self, person: str, images: Sequence[bytes], fields: Mapping[str, Any], mode: Mode) -> int:
        self.calls.append((mode, len(images)))
        for position, image in enumerate(images):
            if image.startswith(b"bad"):
                raise Refused("face_not_found", "no face", position)
        self.faces[person] = [*(self.faces.get(person, []) if mode == "add" else []), *images]
        fault = self.faults.pop(0) if self.faults else None
        if fault is not None:
            raise fault  # after it was carried out
        return len(images)

    async def returns(self) -> bool:
        return self.comes_back


async def read(file: PictureFile) -> bytes:
    return Files().read(file.location, 20)


def entry_of(folder: Path, person: str, *contents: bytes) -> Entry:
    files = []
    for number, content in enumerate(contents):
        file = folder / f"{person}{number}.jpg"
        file.write_bytes(content)
        files.append(Files().describe(str(file)))
    return Entry(person, tuple(files))


def test_pictures_go_in_bounded_requests_without_the_bad_ones(tmp_path: Path) -> None:
    target = FakeTarget()
    entry = entry_of(tmp_path, "ada", b"1", b"bad", b"3", b"4", b"x" * 50, b"6")
    outcome = asyncio.run(Enroller(target, read, most=3).enroll(entry))
    assert (outcome.status, outcome.faces) == (Status.PARTIAL, 4)
    assert target.faces["ada"] == [b"1", b"3", b"4", b"6"]
    assert target.calls == [("replace", 3), ("replace", 2), ("add", 2)]
    assert [(error.name, error.code) for error in outcome.errors] == [
        ("ada1.jpg", "face_not_found"),
        ("ada4.jpg", "image_too_large"),
    ]


def test_a_lost_answer_begins_the_person_again(tmp_path: Path) -> None:
    target = FakeTarget(faults=[None, TargetUnreachable("the answer was lost")])
    outcome = asyncio.run(Enroller(target, read, most=1).enroll(entry_of(tmp_path, "ada", b"1", b"2", b"3")))
    assert (outcome.status, outcome.faces) == (Status.ENROLLED, 3)
    assert target.faces["ada"] == [b"1", b"2", b"3"], "no face twice"


def test_a_service_that_stays_away_ends_the_run(tmp_path: Path) -> None:
    target = FakeTarget(faults=[TargetUnreachable("gone")], comes_back=False)
    with pytest.raises(TargetUnreachable):
        asyncio.run(Enroller(target, read).enroll(entry_of(tmp_path, "ada", b"1")))


def test_a_refusal_of_the_request_is_the_persons_unless_it_is_everybodys(tmp_path: Path) -> None:
    entry = entry_of(tmp_path, "ada", b"1", b"bad")
    target = FakeTarget(faults=[Refused("internal_error", "oops")])
    outcome = asyncio.run(Enroller(target, read).enroll(entry))
    assert [error.code for error in outcome.errors] == ["face_not_found", "internal_error"]
    fatal = FakeTarget(faults=[Refused("forbidden", "no", fatal=True)])
    with pytest.raises(Refused):
        asyncio.run(Enroller(fatal, read).enroll(entry))


def test_batches_keep_to_both_limits() -> None:
    files = [PictureFile(str(number), size) for number, size in enumerate((10, 10, 10, 50, 200, 10, None, 10))]
    sizes = [[file.size for file in batch] for batch in batches(files, 2, 100)]
    assert sizes == [[10, 10], [10, 50], [200], [10], [None], [10]]


@dataclass
class Busy:
    """Enrols slowly and counts how many at the same time."""

    under_way: int = 0
    most: int = 0

    async def enroll(self, entry: Entry) -> Outcome:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(0.001 * (len(entry.person) % 3))
        self.under_way -= 1
        if entry.person == "wrong":
            raise Refused("forbidden", "no", fatal=True)
        return Outcome(entry, Status.ENROLLED)


def collect(entries: Sequence[Entry], busy: Busy, window: int, stop_after: int | None = None) -> list[str]:
    stop = threading.Event()
    done: list[str] = []
    taken = iter(entries)

    async def run() -> None:
        async for outcome in outcomes(taken, busy.enroll, window, stop):
            done.append(outcome.entry.person)
            if stop_after is not None and len(done) >= stop_after:
                stop.set()

    try:
        asyncio.run(run())
    finally:
        assert len(done) <= len(entries) - len(list(taken))
    return done


def test_the_window_is_full_and_never_more() -> None:
    busy = Busy()
    persons = [Entry("x" * (number + 1)) for number in range(100)]
    assert len(collect(persons, busy, 7)) == 100
    assert busy.most == 7


def test_stop_lets_who_is_under_way_come_to_an_end() -> None:
    busy = Busy()
    done = collect([Entry(str(number)) for number in range(100)], busy, 4, stop_after=1)
    assert 1 <= len(done) <= 7
    assert busy.under_way == 0


def test_a_failure_for_everybody_comes_after_who_was_under_way() -> None:
    busy = Busy()
    with pytest.raises(Refused):
        collect([Entry("a"), Entry("bb"), Entry("wrong"), *(Entry(f"n{n}") for n in range(50))], busy, 3)
    assert busy.under_way == 0


def test_the_state_knows_who_is_done(tmp_path: Path) -> None:
    ada, bob = entry_of(tmp_path, "ada", b"1"), entry_of(tmp_path, "bob", b"2")
    path = tmp_path / "deep" / "state.db"
    state = Checkpoint(path)
    assert state.is_empty()
    state.add(ada)
    other = Checkpoint(path)  # another run at the same time
    assert other.holds(ada)
    other.add(bob)
    assert state.holds(bob)
    assert not state.holds(Entry("ada", bob.files))
    state.close()
    other.close()
    with closing(Checkpoint(path)) as later:
        assert not later.is_empty()


@pytest.mark.parametrize(
    "schema",
    ["CREATE TABLE enrolled (x)", "CREATE VIEW enrolled AS SELECT 1 AS person", "CREATE TABLE enrolled (person)"],
)
def test_a_foreign_database_is_no_state(tmp_path: Path, schema: str) -> None:
    path = tmp_path / "state.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(schema)
    with pytest.raises(BadSource, match="is not the state file of an earlier run"):
        Checkpoint(path)


def test_a_state_that_is_damaged_during_a_run_is_named(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    state = Checkpoint(path)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("DROP TABLE enrolled")
    with pytest.raises(BadSource, match="cannot be used"):
        state.add(entry_of(tmp_path, "ada", b"1"))
    state.close()


def test_the_work_list_brings_lines_together() -> None:
    work = WorkList()
    one, two = PictureFile("/b.jpg", 1, "v"), PictureFile("/a.jpg")
    work.add(Entry("ada", (one,), {"name": "Ada"}))
    work.add(Entry("Zoë", (two,)))
    work.add(Entry("ada", (two, one), {"notes": "x"}))
    work.note_present(["ada"])
    assert (work.persons, work.pictures) == (2, 3)
    assert list(work) == [Entry("Zoë", (two,)), Entry("ada", (one, two), {"name": "Ada", "notes": "x"})]
    assert work.is_present("ada")
    assert not work.is_present("Zoë")
    work.close()
