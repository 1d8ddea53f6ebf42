"""Bulk uploads: many persons, enrolled in the background by a worker of the ingress. Part of ``Gallery``.

    begin    create a task for the collection, which no worker can claim yet
    add      store persons, a few at a time: for each a row, then a blob with fields and images
    start    all persons were received: workers can claim the task, and the upload is acknowledged
    work     a worker gets the next persons, enrols them, and stores their outcomes
    erase    the blob of a person is erased as soon as the person has an outcome, or the task has ended

A person's row is inserted before the blob is written, and marked only after the blob was erased, so that no crash
leaves a blob without a row. After a crash a person can be enrolled twice, which replaces the faces by the same ones.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from serve_app.domain import BulkPerson, BulkWork, Page, Task, TaskState
from serve_app.errors import TaskNotFound, TaskRunning
from serve_app.gallery.jobs.tasks import MAX_ATTEMPTS, TIME_LIMIT
from serve_app.gallery.privacy.expiry_clock import ExpiryClock
from serve_app.gallery.sql.records import audit_chain, bulk_uploads, collections, tasks
from serve_app.gallery.writes.writer import Stores
from serve_app.request_context import current

KIND = "bulk"

MOST_AT_ONCE = 20
"""Most unfinished uploads of a tenant."""

RECEIVING = dt.timedelta(minutes=10)
"""Time limit of an upload, after which a task whose upload was interrupted fails."""

ERASED_AT_ONCE = 1000
"""Blobs that one run of maintenance erases."""


class BulkUploads(Stores):
    """Implements :class:`~serve_app.contracts.bulk_uploads.BulkUploads`, synchronously. Part of ``Gallery``."""

    _clock: ExpiryClock

    def begin_bulk(
        self, tenant: str, collection: str, options: Mapping[str, Any], facts: Mapping[str, Any] | None = None
    ) -> Task:
        """The caller of this method is recorded as the actor of the enrolments."""
        now = dt.datetime.now(dt.UTC)

        def start(connection: sa.Connection) -> Task:
            stored = collections.get(connection, tenant, collection)
            if len(tasks.unfinished(connection, tenant, KIND)) >= MOST_AT_ONCE:
                raise TaskRunning(f"At most {MOST_AT_ONCE} uploads can be unfinished at once.", limit=MOST_AT_ONCE)
            work = {
                "complete": False,
                "collection_id": stored.id,
                "options": dict(options),
                "actor": current().caller,
                "counts": {},
            }
            arguments = {"collection": collection, **options, **(facts or {})}
            task = tasks.add(connection, tenant, KIND, {}, state=TaskState.WAITING, arguments=arguments, work=work)
            tasks.hold_back(connection, task.id, now + RECEIVING)
            return task

        with self._database.exclusive(f"uploads {tenant}"):
            return self._database.transact(start)

    def add_bulk(self, tenant: str, task_id: str, first: int, people: Sequence[BulkPerson]) -> None:
        blobs = [uuid.uuid4().hex for _ in people]

        def add(connection: sa.Connection) -> None:
            _receiving(connection, tenant, task_id)
            bulk_uploads.add(connection, tenant, task_id, first, people, blobs)

        self._database.transact(add)
        for person, blob in zip(people, blobs, strict=True):
            self._blobs.write(tenant, blob, "upload", person.payload)

    def start_bulk(self, tenant: str, task_id: str) -> Task:
        def start(connection: sa.Connection) -> Task:
            row = _receiving(connection, tenant, task_id)
            persons, pictures = bulk_uploads.size(connection, task_id)
            arguments = {**row.arguments, "persons": persons, "pictures": pictures}
            work = {**row.work, "complete": True}
            tasks.set_work(connection, task_id, work, arguments=arguments, total=persons, claimed_until=None)
            details = {"task": task_id, "persons": persons, "pictures": pictures}
            audit_chain.append(
                connection, tenant, [audit_chain.Draft("enrol_bulk", (), (row.work["collection_id"],), details)]
            )
            return tasks.get(connection, tenant, task_id)

        return self._database.transact(start)

    def bulk_work(self, worker: str, pictures: int) -> BulkWork | None:
        """Takes the oldest upload that no other living worker has claimed."""
        now = dt.datetime.now(dt.UTC)
        row = self._database.transact(
            lambda c: tasks.held(c, worker, [KIND], now) or tasks.claim(c, worker, [KIND], now)
        )
        if row is None:
            return None
        if reason := _reason_to_fail(row, now if self._clock.agrees() else row.created):
            self._end_bulk(worker, row.id, TaskState.FAILED, row.work["counts"], reason)
            return None
        with self._database.read() as connection:
            found = bulk_uploads.pending(connection, row.id, pictures)
            collection = bulk_uploads.collection_name(connection, row.work["collection_id"])
        if not found:
            self._end_bulk(worker, row.id, TaskState.DONE, row.work["counts"], "")
            return None
        people = {
            entry.position: BulkPerson(
                entry.person, entry.pictures, self._blobs.read(row.tenant_id, entry.blob, "upload") or b""
            )
            for entry in found
        }
        return BulkWork(row.id, row.tenant_id, collection, row.work["options"], row.work["actor"], people)

    def note_bulk(self, worker: str, task_id: str, outcomes: Mapping[int, Mapping[str, Any]]) -> bool:
        def note(connection: sa.Connection) -> bool:
            row = tasks.row_of(connection, task_id)
            if row is None or row.claim != worker or row.state != str(TaskState.RUNNING):
                return False
            counts = Counter(row.work["counts"])
            done = row.done
            for position, outcome in outcomes.items():
                if bulk_uploads.note(connection, task_id, position, outcome):
                    counts[outcome["status"]] += 1
                    counts["faces"] += outcome["faces"]
                    done += 1
            tasks.advance(connection, worker, task_id, {**row.work, "counts": dict(counts)}, done)
            if done >= row.total:
                tasks.finish(connection, worker, task_id, TaskState.DONE, counts)
            return True

        noted = self._database.transact(note)
        self.erase_uploads()
        return noted

    def bulk_report(
        self, tenant: str, task_id: str, failures: bool = False, limit: int = 100, cursor: str | None = None
    ) -> Page[Mapping[str, Any]]:
        with self._database.read() as connection:
            if tasks.get(connection, tenant, task_id).kind != KIND:
                raise TaskNotFound(f"The task {task_id} is not an upload.", task_id=task_id)
            return bulk_uploads.outcomes(connection, task_id, limit, cursor, failures=failures)

    def erase_uploads(self) -> int:
        """Erase blobs that are no longer needed; the number erased. Part of maintenance."""
        with self._database.read() as connection:
            rows = bulk_uploads.to_erase(connection, ERASED_AT_ONCE)
        for row in rows:
            self._blobs.delete(row.tenant_id, row.blob, ("upload",))
        if rows:
            self._database.transact(lambda c: bulk_uploads.erased(c, rows))
        return len(rows)

    def _end_bulk(self, worker: str, task_id: str, state: TaskState, counts: Mapping[str, int], error: str) -> None:
        self._database.transact(lambda c: tasks.finish(c, worker, task_id, state, counts, error))
        self.erase_uploads()


def _receiving(connection: sa.Connection, tenant: str, task_id: str) -> sa.Row[Any]:
    tasks.get(connection, tenant, task_id)
    row = tasks.row_of(connection, task_id)
    if row is None or row.kind != KIND or row.state != str(TaskState.WAITING) or row.work["complete"]:
        raise TaskNotFound(f"The task {task_id} is not waiting for an upload.", task_id=task_id)
    return row


def _reason_to_fail(row: sa.Row[Any], now: dt.datetime) -> str:
    if not row.work["complete"]:
        return "The upload was not received completely; no person was enrolled."
    if row.attempts >= MAX_ATTEMPTS:
        return f"The service was stopped {row.attempts} times while it worked on this task."
    return f"The task took longer than {TIME_LIMIT}." if now - row.created > TIME_LIMIT else ""
