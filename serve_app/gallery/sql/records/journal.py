"""The index journal: faces whose index rows and images may disagree with the records.

An entry is made in a transaction of its own before index or images are touched, and goes in the transaction that makes
the change final. What is left after a crash names everything that may be half done; :mod:`serve_app.gallery.repair`
settles it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence

import sqlalchemy as sa

from serve_app.gallery.sql.records.faces import batches
from serve_app.gallery.sql.schema import index_journal


def add(connection: sa.Connection, tenant: str, faces: Mapping[str, str]) -> list[int]:
    """One entry for each face (id -> model); the entries' ids."""
    if not faces:
        return []
    now = dt.datetime.now(dt.UTC)
    rows = [
        {"tenant_id": tenant, "face_id": face_id, "model": model, "created": now} for face_id, model in faces.items()
    ]
    return list(connection.execute(index_journal.insert().returning(index_journal.c.id), rows).scalars())


def remove(connection: sa.Connection, ids: Iterable[int]) -> int:
    """How many of the entries were still there; until the transaction ends, nobody else sees them as pending."""
    return sum(
        connection.execute(index_journal.delete().where(index_journal.c.id.in_(batch))).rowcount
        for batch in batches(ids)
    )


def pending(
    connection: sa.Connection, limit: int, before: dt.datetime | None = None, ids: Sequence[int] | None = None
) -> list[sa.Row[tuple[int, str, str, str, dt.datetime]]]:
    """The oldest entries, made before a time, or out of these ids; not those that a transaction is finishing now."""
    query = sa.select(index_journal).order_by(index_journal.c.id).limit(limit).with_for_update(skip_locked=True)
    if before is not None:
        query = query.where(index_journal.c.created < before)
    if ids is not None:
        query = query.where(index_journal.c.id.in_(ids))
    return list(connection.execute(query))


def faces_with_entries(connection: sa.Connection, face_ids: Iterable[str]) -> set[str]:
    """Those of the faces that somebody is working on."""
    query = sa.select(index_journal.c.face_id)
    return {
        face_id
        for batch in batches(face_ids)
        for face_id in connection.execute(query.where(index_journal.c.face_id.in_(batch))).scalars()
    }


def is_empty(connection: sa.Connection) -> bool:
    """Whether nothing is pending."""
    return connection.execute(sa.select(index_journal.c.id).limit(1)).first() is None
