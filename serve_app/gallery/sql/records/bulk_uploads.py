"""Statements about the persons of bulk uploads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from serve_app.domain import BulkPerson, Page, TaskState
from serve_app.gallery import checks
from serve_app.gallery.sql.records.statements import batches
from serve_app.gallery.sql.schema import bulk_entries as entries
from serve_app.gallery.sql.schema import collections, persons, tasks

ENDED = [str(state) for state in TaskState if state.is_final]


def add(
    connection: sa.Connection, tenant: str, task_id: str, first: int, people: Sequence[BulkPerson], blobs: Sequence[str]
) -> None:
    """Insert persons from position ``first`` on, before their blobs are written."""
    rows = [
        {
            "task_id": task_id,
            "position": position,
            "tenant_id": tenant,
            "person": person.person,
            "pictures": person.pictures,
            "blob": blob,
            "stored": True,
        }
        for position, (person, blob) in enumerate(zip(people, blobs, strict=True), first)
    ]
    connection.execute(entries.insert(), rows)


def size(connection: sa.Connection, task_id: str) -> tuple[int, int]:
    """Numbers of persons and of images of an upload."""
    counted = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(entries.c.pictures), 0))
    persons, pictures = connection.execute(counted.where(entries.c.task_id == task_id)).one()
    return int(persons), int(pictures)


def pending(connection: sa.Connection, task_id: str, pictures: int) -> list[sa.Row[Any]]:
    """The next persons without an outcome, with at most ``pictures`` images in total, but at least one person."""
    query = sa.select(entries).where(entries.c.task_id == task_id, entries.c.outcome.is_(None))
    taken: list[sa.Row[Any]] = []
    used = 0
    for row in connection.execute(query.order_by(entries.c.position).limit(pictures)):
        used += max(row.pictures, 1)
        if taken and used > pictures:
            break
        taken.append(row)
    return taken


def note(connection: sa.Connection, task_id: str, position: int, outcome: Mapping[str, Any]) -> bool:
    """Store the outcome of a person; False if the person already has one."""
    new = (entries.c.task_id == task_id, entries.c.position == position, entries.c.outcome.is_(None))
    return connection.execute(entries.update().where(*new).values(outcome=dict(outcome))).rowcount == 1


def to_erase(connection: sa.Connection, limit: int) -> list[sa.Row[Any]]:
    """Persons whose blobs are no longer needed: the person has an outcome, or the task has ended."""
    not_needed = sa.or_(entries.c.outcome.is_not(None), tasks.c.state.in_(ENDED))
    query = sa.select(entries).join(tasks, tasks.c.id == entries.c.task_id).where(entries.c.stored, not_needed)
    return list(connection.execute(query.limit(limit)))


def erased(connection: sa.Connection, rows: Sequence[sa.Row[Any]]) -> None:
    """Note that the blobs of these persons are erased."""
    for row in rows:
        this = (entries.c.task_id == row.task_id, entries.c.position == row.position)
        connection.execute(entries.update().where(*this).values(stored=False))


def forget(connection: sa.Connection, tenant: str, person_ids: Sequence[str]) -> None:
    """Take persons (internal ids) that are about to be erased out of the reports of the uploads that enrolled them."""
    for batch in batches(person_ids):
        named = sa.select(persons.c.external_id).where(persons.c.id.in_(batch))
        # Those without an outcome stay: they wait to be enrolled. So do blobs that are not erased yet.
        done = (entries.c.tenant_id == tenant, entries.c.outcome.is_not(None), entries.c.stored.is_(False))
        connection.execute(entries.delete().where(*done, entries.c.person.in_(named)))


def outcomes(
    connection: sa.Connection, task_id: str, limit: int, cursor: str | None, *, failures: bool
) -> Page[Mapping[str, Any]]:
    """A page of outcomes, by position; with ``failures``, which keeps those with errors, a page may be short."""
    query = sa.select(entries).where(entries.c.task_id == task_id, entries.c.outcome.is_not(None))
    if (after := checks.decode_cursor(cursor, checks.whole)) is not None:
        query = query.where(entries.c.position > after)
    rows = connection.execute(query.order_by(entries.c.position).limit(checks.check_limit(limit))).all()
    items = tuple({"person": row.person, **row.outcome} for row in rows if row.outcome["errors"] or not failures)
    return Page(items, checks.encode_cursor(str(rows[-1].position)) if len(rows) == limit else None)


def collection_name(connection: sa.Connection, collection_id: str) -> str:
    """The current name of a collection; empty if it was deleted."""
    query = sa.select(collections.c.name).where(collections.c.id == collection_id)
    return connection.execute(query).scalar_one_or_none() or ""
