"""Background tasks, done in small steps that survive the end of the process. Part of ``Gallery``.

A task's row has its progress. A worker claims a task, does a step, and writes results and progress in one transaction,
so another process can do the next step. A worker that makes no progress for a minute loses its claim.
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
import uuid
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from serve_app.domain import DuplicatePair, EnrolledFace, Page, Task, TaskState, ThresholdRequest
from serve_app.errors import InvalidRequest, StoreUnavailable, TaskNotFound, TaskRunning
from serve_app.gallery import checks
from serve_app.gallery.jobs.duplicate_scan import Scan, TooManyPairs
from serve_app.gallery.privacy.expiry_clock import ExpiryClock
from serve_app.gallery.sql.records import audit_chain, collections, distinct_persons, duplicates, faces, persons, tasks
from serve_app.gallery.sql.schema import collections as collections_table
from serve_app.gallery.writes.writer import Stores
from serve_app.score import check_threshold, resolve_threshold

log = logging.getLogger(__name__)

DUPLICATES = "duplicates"
"""Kind of the task that searches for duplicates."""

MAX_PAIRS = 100_000
"""Most pairs that one search for duplicates can find."""

MAX_ATTEMPTS = 20
"""How often a task is claimed before it is considered the cause of the ends of its workers, and fails."""

KEPT = dt.timedelta(days=7)
"""How long the record of a task is kept."""

TIME_LIMIT = dt.timedelta(hours=24)
"""Age at which an unfinished task fails."""


class Tasks(Stores):
    """Implements :class:`~serve_app.contracts.tasks.Tasks`, synchronously. Part of ``Gallery``.

    :meth:`work` does the tasks.
    """

    _clock: ExpiryClock

    def __init__(self) -> None:
        self._worker = uuid.uuid4().hex
        self._current: tuple[str, dt.datetime, Scan] | None = None
        self._working = threading.Lock()

    def add_task(self, tenant: str, kind: str, result: Mapping[str, Any]) -> Task:
        return self._database.transact(lambda c: tasks.add(c, tenant, kind, result))

    def task(self, tenant: str, task_id: str) -> Task:
        with self._database.read() as connection:
            return tasks.get(connection, tenant, task_id)

    def tasks(self, tenant: str, limit: int = 100) -> tuple[Task, ...]:
        with self._database.read() as connection:
            return tuple(tasks.latest(connection, tenant, limit))

    def cancel_task(self, tenant: str, task_id: str) -> Task:
        """A step that is in progress can end after this has returned; its results are discarded."""
        return self._database.transact(lambda c: tasks.cancel(c, tenant, task_id))

    def forget_tasks(self, now: dt.datetime | None = None) -> int:
        """Delete records of tasks that are older than :data:`KEPT`; the number deleted. Part of maintenance."""
        before = (now or dt.datetime.now(dt.UTC)) - KEPT
        return self._database.transact(lambda c: tasks.forget(c, before))

    # -- duplicates

    def find_duplicates(
        self, tenant: str, collection: str, model: str, threshold: ThresholdRequest = ThresholdRequest()
    ) -> Task:
        """Faces that join the collection while the task runs can be left out."""
        check_threshold(threshold)
        calibration = self._calibrations.get(checks.check_model(model))
        if calibration is None:
            raise InvalidRequest(f"The gallery has no calibration for the model {model}.")

        def start(connection: sa.Connection) -> Task:
            stored = collections.get(connection, tenant, collection, "update")
            for other in tasks.unfinished(connection, tenant, DUPLICATES):
                if other.arguments["collection_id"] == stored.id:
                    raise TaskRunning(
                        f"The collection {collection} is already being searched for duplicates.", task_id=other.id
                    )
            number = duplicates.count(connection, stored.id, model)
            chosen = resolve_threshold(threshold, number)
            scan = Scan(stored.id, model, calibration.cosine(chosen.min_score))
            arguments = {
                "collection": collection,
                "collection_id": stored.id,
                "model": model,
                "min_score": chosen.min_score,
                "faces": number,
                "faces_of_other_models": stored.face_count - number,
            }
            return tasks.add(
                connection,
                tenant,
                DUPLICATES,
                {},
                state=TaskState.WAITING,
                arguments=arguments,
                work=asdict(scan),
                total=number * (number - 1) // 2,
            )

        return self._database.transact(start)

    def duplicates(
        self, tenant: str, task_id: str, limit: int = 100, cursor: str | None = None, with_distinct: bool = False
    ) -> Page[DuplicatePair]:
        """Pages of 1 to 1,000. Pairs of which one was deleted since are left out."""
        with self._database.read() as connection:
            task = tasks.get(connection, tenant, task_id)
            if task.kind != DUPLICATES:
                raise TaskNotFound(f"The task {task_id} is not a search for duplicates.", task_id=task_id)
            rows, following = duplicates.page(connection, task_id, limit, cursor, with_distinct)
            found = faces.of_ids(connection, {id_ for row in rows for id_ in (row.first_face, row.second_face)})
            people = persons.load(connection, {row.person_id for row in found if row.person_id is not None})
        sides = {
            (row.person_id or row.id, row.id): EnrolledFace(
                faces.to_face(row, row.external_id), people.get(row.person_id)
            )
            for row in found
        }
        calibration = self._calibrations[task.arguments["model"]]
        pairs = []
        for row in rows:
            first, second = sides.get((row.first_id, row.first_face)), sides.get((row.second_id, row.second_face))
            if first is not None and second is not None:
                score = calibration.score(row.cosine)
                pairs.append(DuplicatePair(first, second, score, 1.0 - row.cosine, bool(row.distinct)))
        return Page(tuple(pairs), following)

    def tell_apart(
        self, tenant: str, person_id: str, other_id: str, collection: str | None = None, apart: bool = True
    ) -> None:
        if person_id == other_id:
            raise InvalidRequest(f"Another person than {checks.quoted(person_id)} was expected, to tell apart.")

        def note(connection: sa.Connection) -> None:
            within = None if collection is None else collections.get(connection, tenant, collection)
            both = persons.get_all(connection, tenant, [person_id, other_id])
            for row in both:
                if within is not None and within.id not in persons.collection_ids(connection, row.id):
                    raise persons.not_found(row.external_id, collection)
            pair = both[0].id, both[1].id
            if apart:
                distinct_persons.put(connection, tenant, [pair])
            else:
                distinct_persons.drop(connection, tenant, pair)
            audit_chain.append(connection, tenant, [audit_chain.Draft("tell_apart", pair, details={"distinct": apart})])

        self._database.transact(note)

    # -- working

    def work(self) -> bool:
        """Do one step, a fraction of a second, of an unfinished task; False if there is none."""
        if not self._working.acquire(blocking=False):
            return False
        try:
            if self._current is None:
                self._current = self._claim()
            if self._current is None:
                return False
            current, self._current = self._current, None
            if self._step(*current):
                self._current = current
            return True
        except StoreUnavailable as error:
            log.warning("a task has to wait: %s", error)  # its claim runs out, then the last step is repeated
            return False
        finally:
            self._working.release()

    def _claim(self) -> tuple[str, dt.datetime, Scan] | None:
        now = dt.datetime.now(dt.UTC)
        row = self._database.transact(lambda c: tasks.claim(c, self._worker, [DUPLICATES], now))
        if row is None:
            return None
        if row.attempts >= MAX_ATTEMPTS:
            self._fail(row.id, f"The service was stopped {row.attempts} times while it worked on this task.")
            return None
        return row.id, row.created, Scan(**row.work)

    def _step(self, task_id: str, created: dt.datetime, scan: Scan) -> bool:
        """Do one step of a task; whether there is more to do."""
        if dt.datetime.now(dt.UTC) - created > TIME_LIMIT and self._clock.agrees():
            return self._fail(task_id, f"The task took longer than {TIME_LIMIT}.")
        try:
            found = scan.step(self._database, MAX_PAIRS)
        except TooManyPairs:
            return self._fail(task_id, TOO_MANY)
        except StoreUnavailable:
            raise
        except Exception:
            log.exception("task %s failed", task_id)
            return self._fail(task_id, "An unexpected error occurred; the log of the service has the details.")

        def note(connection: sa.Connection) -> bool:
            if not tasks.advance(connection, self._worker, task_id, asdict(scan), scan.done):
                return False  # cancelled, or claimed by another worker
            existing = sa.select(collections_table.c.id).where(collections_table.c.id == scan.collection_id)
            if connection.execute(existing).first() is None:
                tasks.finish(connection, self._worker, task_id, TaskState.FAILED, {}, "The collection was deleted.")
                return False
            duplicates.put(connection, task_id, found)
            number = duplicates.number(connection, task_id)
            if number > MAX_PAIRS:
                tasks.finish(connection, self._worker, task_id, TaskState.FAILED, {"pairs": number}, TOO_MANY)
                return False
            if scan.finished:
                tasks.finish(connection, self._worker, task_id, TaskState.DONE, {"pairs": number})
            return not scan.finished

        return self._database.transact(note)

    def _fail(self, task_id: str, error: str) -> bool:
        self._database.transact(lambda c: tasks.finish(c, self._worker, task_id, TaskState.FAILED, {}, error))
        return False


TOO_MANY = f"There are more than {MAX_PAIRS} pairs with this min_score; repeat the search with a higher min_score."
