"""Statements about tasks."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from serve_app.domain import Task
from serve_app.errors import TaskNotFound
from serve_app.gallery import checks
from serve_app.gallery.schema import tasks

KEPT = dt.timedelta(days=7)
"""How long the record of a task can be asked for."""


def add(connection: sa.Connection, tenant: str, kind: str, result: Mapping[str, Any]) -> Task:
    """A new record."""
    task = Task(uuid.uuid4().hex, checks.check_text("kind", kind, 50), result, dt.datetime.now(dt.UTC))
    connection.execute(
        tasks.insert().values(
            id=task.id, tenant_id=tenant, kind=task.kind, result=dict(task.result), created=task.created
        )
    )
    return task


def get(connection: sa.Connection, tenant: str, task_id: str) -> Task:
    """Raises TaskNotFound."""
    found = None
    if checks.is_id(task_id):
        query = sa.select(tasks).where(tasks.c.id == task_id, tasks.c.tenant_id == tenant)
        found = connection.execute(query).first()
    if found is None:
        raise TaskNotFound(f"There is no task with the id {checks.shown(task_id)}.", task_id=str(task_id)[:100])
    return Task(found.id, found.kind, found.result, found.created)


def forget(connection: sa.Connection, now: dt.datetime) -> int:
    """Erase the records that are too old; how many."""
    return connection.execute(tasks.delete().where(tasks.c.created <= now - KEPT)).rowcount
