"""Statements about background tasks."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from serve_app.domain import Task, TaskState
from serve_app.errors import TaskNotFound
from serve_app.gallery import checks
from serve_app.gallery.sql.records.statements import to_choice, to_value
from serve_app.gallery.sql.schema import bulk_entries, tasks

CLAIM = dt.timedelta(seconds=60)
"""After this long without progress, another worker takes over a task."""

UNFINISHED = [str(state) for state in TaskState if not state.is_final]


def add(
    connection: sa.Connection,
    tenant: str,
    kind: str,
    result: Mapping[str, Any],
    *,
    state: TaskState = TaskState.DONE,
    arguments: Mapping[str, Any] | None = None,
    work: Mapping[str, Any] | None = None,
    total: int = 0,
) -> Task:
    """Insert a record of finished work, or of work to do; ``work`` is the worker's input and progress."""
    now = dt.datetime.now(dt.UTC)
    fresh = {"id": uuid.uuid4().hex, "tenant_id": tenant, "created": now, "state": str(state), "total": total}
    connection.execute(
        tasks.insert().values(
            **fresh,
            kind=checks.check_text("kind", kind, 50),
            result=dict(result),
            arguments=dict(arguments or {}),
            work=dict(work or {}),
            finished=now if state.is_final else None,
        )
    )
    return get(connection, tenant, str(fresh["id"]))


def get(connection: sa.Connection, tenant: str, task_id: str) -> Task:
    """One task. Raises TaskNotFound."""
    found = None
    if checks.is_id(task_id):
        query = sa.select(tasks).where(tasks.c.id == task_id, tasks.c.tenant_id == tenant)
        found = connection.execute(query).first()
    if found is None:
        raise TaskNotFound(f"There is no task with the id {checks.quoted(task_id)}.", task_id=str(task_id)[:100])
    return to_task(found)


def latest(connection: sa.Connection, tenant: str, limit: int) -> list[Task]:
    """The latest tasks, newest first. Raises InvalidRequest (limit)."""
    query = sa.select(tasks).where(tasks.c.tenant_id == tenant).order_by(tasks.c.created.desc(), tasks.c.id)
    return [to_task(row) for row in connection.execute(query.limit(checks.check_limit(limit)))]


def unfinished(connection: sa.Connection, tenant: str, kind: str) -> list[Task]:
    """Tasks of a kind that wait or run."""
    query = sa.select(tasks).where(tasks.c.tenant_id == tenant, tasks.c.kind == kind, tasks.c.state.in_(UNFINISHED))
    return [to_task(row) for row in connection.execute(query)]


def claim(connection: sa.Connection, worker: str, kinds: Sequence[str], now: dt.datetime) -> sa.Row[Any] | None:
    """Claim the oldest unfinished task that no living worker has; its row as it was before, None if there is none."""
    free = sa.or_(tasks.c.claimed_until.is_(None), tasks.c.claimed_until < now)
    query = (
        sa.select(tasks)
        .where(tasks.c.state.in_(UNFINISHED), tasks.c.kind.in_(kinds), free)
        .order_by(tasks.c.created, tasks.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    row = connection.execute(query).first()
    if row is not None:
        connection.execute(
            tasks.update()
            .where(tasks.c.id == row.id)
            .values(state=str(TaskState.RUNNING), claim=worker, claimed_until=now + CLAIM, attempts=row.attempts + 1)
        )
    return row


def held(connection: sa.Connection, worker: str, kinds: Sequence[str], now: dt.datetime) -> sa.Row[Any] | None:
    """The row of the running task that this worker has claimed, None if there is none."""
    mine = (tasks.c.claim == worker, tasks.c.claimed_until >= now, tasks.c.state == str(TaskState.RUNNING))
    return connection.execute(sa.select(tasks).where(tasks.c.kind.in_(kinds), *mine).limit(1)).first()


def hold_back(connection: sa.Connection, task_id: str, until: dt.datetime | None) -> None:
    """Keep workers from claiming a task until then; None allows it from now on."""
    connection.execute(tasks.update().where(tasks.c.id == task_id).values(claimed_until=until))


def set_work(connection: sa.Connection, task_id: str, work: Mapping[str, Any], **values: Any) -> None:
    """Change the work of a task that no worker has claimed."""
    connection.execute(tasks.update().where(tasks.c.id == task_id).values(work=dict(work), **values))


def row_of(connection: sa.Connection, task_id: str) -> sa.Row[Any] | None:
    """The complete row of a task, ``work`` included, locked; None if there is none."""
    return connection.execute(sa.select(tasks).where(tasks.c.id == task_id).with_for_update()).first()


def advance(connection: sa.Connection, worker: str, task_id: str, work: Mapping[str, Any], done: int) -> bool:
    """Store progress and extend the claim; False if the task was cancelled or another worker has claimed it."""
    until = dt.datetime.now(dt.UTC) + CLAIM
    return _update_claimed(connection, worker, task_id, work=dict(work), done=done, claimed_until=until)


def finish(
    connection: sa.Connection, worker: str, task_id: str, state: TaskState, result: Mapping[str, Any], error: str = ""
) -> bool:
    """End a task; False as in :func:`advance`."""
    done = {"done": tasks.c.total} if state is TaskState.DONE else {}
    now = dt.datetime.now(dt.UTC)
    return _update_claimed(
        connection, worker, task_id, state=str(state), result=dict(result), error=error, finished=now, **done
    )


def cancel(connection: sa.Connection, tenant: str, task_id: str) -> Task:
    """Cancel a task; a finished one stays as it is. Raises TaskNotFound."""
    get(connection, tenant, task_id)
    connection.execute(
        tasks.update()
        .where(tasks.c.id == task_id, tasks.c.state.in_(UNFINISHED))
        .values(state=str(TaskState.CANCELLED), finished=dt.datetime.now(dt.UTC))
    )
    return get(connection, tenant, task_id)


def release(connection: sa.Connection) -> None:
    """End all claims. Called at a start of the only process: every claim belongs to a worker that died."""
    connection.execute(tasks.update().where(tasks.c.state == str(TaskState.RUNNING)).values(claimed_until=None))


def forget(connection: sa.Connection, before: dt.datetime) -> int:
    """Delete the records of tasks that were created by this time; the number deleted."""
    uploads = sa.select(bulk_entries.c.task_id).where(bulk_entries.c.stored)  # their blobs must be erased first
    old = tasks.delete().where(tasks.c.created <= before, tasks.c.id.not_in(uploads))
    return connection.execute(old).rowcount


def to_task(row: sa.Row[Any]) -> Task:
    """A row of the table as a domain value."""
    return to_value(Task, row, state=to_choice(TaskState, row.state, "tasks.state"))


def _update_claimed(connection: sa.Connection, worker: str, task_id: str, **values: Any) -> bool:
    mine = (tasks.c.id == task_id, tasks.c.claim == worker, tasks.c.state == str(TaskState.RUNNING))
    return connection.execute(tasks.update().where(*mine).values(**values)).rowcount == 1
