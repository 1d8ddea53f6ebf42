"""Bulk uploads: blobs are kept until their persons have an outcome, also when processes die, and no longer."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator
from contextvars import copy_context
from pathlib import Path
from typing import Any

import pytest

from serve_app.domain import DEFAULT_TENANT, BulkPerson, NewCollection, Task, TaskState
from serve_app.errors import CollectionNotFound, TaskNotFound, TaskRunning
from serve_app.gallery import Gallery
from serve_app.gallery.jobs import bulk_uploads
from serve_app.gallery.sql.records import tasks
from serve_app.request_context import RequestContext, enter
from tests.gallery.conftest import new_tenant
from tests.gallery.stores import in_memory

T = DEFAULT_TENANT


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Gallery]:
    """A separate gallery with a collection and an index in memory."""
    with in_memory(tmp_path) as opened:
        opened.create_collection(T, NewCollection("staff"))
        yield opened


def people(count: int) -> list[BulkPerson]:
    return [BulkPerson(f"p{number}", 2, f"pictures of p{number}".encode()) for number in range(count)]


def submitted(gallery: Gallery, count: int, tenant: str = T) -> Task:
    task = gallery.begin_bulk(tenant, "staff", {"faces": "one"})
    for first in range(0, count, 2):
        gallery.add_bulk(tenant, task.id, first, people(count)[first : first + 2])
    return gallery.start_bulk(tenant, task.id)


def outcome(status: str = "enrolled", faces: int = 2) -> dict[str, Any]:
    errors = [] if status == "enrolled" else [{"file": "x", "code": "face_not_found", "message": "no face"}]
    return {"files": ["x"], "status": status, "faces": faces, "errors": errors}


def worker() -> str:
    return uuid.uuid4().hex


def blobs(gallery: Gallery, tenant: str = T) -> int:
    return gallery._blobs.count(tenant)


def test_an_upload_is_worked_on_piece_by_piece_and_erased_as_it_goes(gallery: Gallery, tenant: str) -> None:
    gallery.create_collection(tenant, NewCollection("staff"))
    task = submitted(gallery, 5, tenant)
    assert (task.state, task.total, task.arguments["pictures"]) == (TaskState.WAITING, 5, 10)
    assert blobs(gallery, tenant) == 5
    me, seen = worker(), []
    while (work := gallery.bulk_work(me, 4)) is not None:
        assert (work.tenant, work.collection, work.options) == (tenant, "staff", {"faces": "one"})
        assert len(work.persons) <= 2, "at most four images at a time"
        seen += [person.payload for person in work.persons.values()]
        noted = {
            at: outcome("failed", 0) if person.person == "p3" else outcome() for at, person in work.persons.items()
        }
        assert gallery.note_bulk(me, work.task_id, noted)
        assert blobs(gallery, tenant) == 5 - len(seen), "a blob is erased as soon as its person has an outcome"
    assert seen == [person.payload for person in people(5)]
    task = gallery.task(tenant, task.id)
    assert (task.state, task.done, dict(task.result)) == (TaskState.DONE, 5, {"enrolled": 4, "failed": 1, "faces": 8})
    report = gallery.bulk_report(tenant, task.id)
    assert [line["person"] for line in report.items] == ["p0", "p1", "p2", "p3", "p4"]
    assert [line["person"] for line in gallery.bulk_report(tenant, task.id, failures=True).items] == ["p3"]
    pages, cursor = [], None
    while True:
        page = gallery.bulk_report(tenant, task.id, False, 2, cursor)
        pages += [line["person"] for line in page.items]
        if (cursor := page.cursor) is None:
            break
    assert pages == ["p0", "p1", "p2", "p3", "p4"]


def test_only_the_tenant_sees_it(gallery: Gallery, tenant: str) -> None:
    gallery.create_collection(tenant, NewCollection("staff"))
    task = submitted(gallery, 1, tenant)
    other = new_tenant(gallery)
    for call in (
        lambda: gallery.bulk_report(other, task.id),
        lambda: gallery.add_bulk(other, task.id, 1, people(1)),
        lambda: gallery.start_bulk(other, task.id),
    ):
        with pytest.raises(TaskNotFound):
            call()
    with pytest.raises(CollectionNotFound):
        gallery.begin_bulk(other, "staff", {})
    gallery.cancel_task(tenant, task.id)
    gallery.erase_uploads()


def test_one_worker_has_an_upload_until_it_falls_silent(memory: Gallery) -> None:
    task = submitted(memory, 3)
    first, second = worker(), worker()
    work = memory.bulk_work(first, 2)
    assert work is not None
    assert memory.bulk_work(second, 100) is None
    past = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=1)
    memory._database.transact(lambda connection: tasks.hold_back(connection, task.id, past))
    taken = memory.bulk_work(second, 100)
    assert taken is not None
    assert len(taken.persons) == 3, "persons without an outcome are handed out again"
    assert not memory.note_bulk(first, task.id, {0: outcome()})
    assert memory.note_bulk(second, task.id, {at: outcome() for at in taken.persons})
    assert memory.task(T, task.id).result["faces"] == 6, "counted once"


def test_a_restart_goes_on_where_it_was(tmp_path: Path) -> None:
    with in_memory(tmp_path) as gallery:
        gallery.create_collection(T, NewCollection("staff"))
        task = submitted(gallery, 4)
        dead = worker()
        work = gallery.bulk_work(dead, 4)
        assert work is not None
        gallery.note_bulk(dead, task.id, {0: outcome()})
    with in_memory(tmp_path) as gallery:
        gallery.recover()
        work = gallery.bulk_work(worker(), 100)
        assert work is not None
        assert [person.person for person in work.persons.values()] == ["p1", "p2", "p3"]
        assert work.persons[1].payload == b"pictures of p1"


def test_an_upload_that_was_cut_off_is_never_worked_on(memory: Gallery) -> None:
    task = memory.begin_bulk(T, "staff", {})
    memory.add_bulk(T, task.id, 0, people(2))
    assert memory.bulk_work(worker(), 10) is None
    assert memory.erase_uploads() == 0, "the upload may still be in progress"
    past = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=1)
    memory._database.transact(lambda connection: tasks.hold_back(connection, task.id, past))
    assert memory.bulk_work(worker(), 10) is None
    ended = memory.task(T, task.id)
    assert (ended.state, ended.error[:35]) == (TaskState.FAILED, "The upload was not received complet")
    assert blobs(memory) == 0
    with pytest.raises(TaskNotFound):
        memory.start_bulk(T, task.id)


def test_cancelling_ends_and_erases_it(memory: Gallery) -> None:
    task = submitted(memory, 3)
    me = worker()
    assert memory.bulk_work(me, 2) is not None
    memory.cancel_task(T, task.id)
    assert not memory.note_bulk(me, task.id, {0: outcome()})
    assert memory.bulk_work(me, 2) is None
    assert blobs(memory) == 0
    assert memory.bulk_report(T, task.id).items == ()


def test_what_was_begun_under_another_name_goes_on(memory: Gallery) -> None:
    submitted(memory, 1)
    memory.update_collection(T, "staff", {"name": "people"})
    work = memory.bulk_work(worker(), 10)
    assert work is not None
    assert work.collection == "people"


def test_a_deleted_collection_is_said(memory: Gallery) -> None:
    submitted(memory, 1)
    memory.delete_collection(T, "staff")
    work = memory.bulk_work(worker(), 10)
    assert work is not None
    assert work.collection == ""


def test_too_many_at_once_are_refused(memory: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_uploads, "MOST_AT_ONCE", 2)
    memory.begin_bulk(T, "staff", {})
    memory.begin_bulk(T, "staff", {})
    with pytest.raises(TaskRunning):
        memory.begin_bulk(T, "staff", {})


def test_who_handed_it_in_is_recorded_and_enrols(memory: Gallery) -> None:
    def hand_in() -> Task:
        enter(RequestContext(caller="key:abc"))
        return submitted(memory, 2)

    task = copy_context().run(hand_in)
    entry = memory.audit(T, limit=1).items[0]
    assert (entry.actor, entry.action, entry.details["persons"]) == ("key:abc", "enrol_bulk", 2)
    work = memory.bulk_work(worker(), 10)
    assert work is not None
    assert (work.task_id, work.actor) == (task.id, "key:abc")


def test_records_outlive_the_blobs_and_go_after_a_week(memory: Gallery) -> None:
    task = submitted(memory, 2)
    later = dt.datetime.now(dt.UTC) + dt.timedelta(days=8)
    assert memory.forget_tasks(later) == 0, "the blobs must be erased first"
    memory.cancel_task(T, task.id)
    assert memory.erase_uploads() == 2
    assert memory.forget_tasks(later) == 1
    with pytest.raises(TaskNotFound):
        memory.bulk_report(T, task.id)


def test_another_tasks_report_is_not_found(memory: Gallery) -> None:
    task = memory.add_task(T, "other", {})
    with pytest.raises(TaskNotFound):
        memory.bulk_report(T, task.id)


def test_a_tenant_takes_its_uploads_along(memory: Gallery) -> None:
    tenant = new_tenant(memory)
    memory.create_collection(tenant, NewCollection("staff"))
    submitted(memory, 2, tenant)
    assert blobs(memory, tenant) == 2
    memory.erase_tenant(tenant)
    assert blobs(memory, tenant) == 0
