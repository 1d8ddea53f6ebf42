"""The index journal: faces whose index rows and images may disagree with the records.

A writer inserts an entry, in a separate transaction, before it touches index or images, and removes it in the
transaction that commits the change. The entries that are left after a crash name every face whose change may be
incomplete; :mod:`serve_app.gallery.repair` repairs these faces.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence

import sqlalchemy as sa

from serve_app.gallery.sql.records.statements import delete_in, rows_in
from serve_app.gallery.sql.schema import index_journal


def add(connection: sa.Connection, tenant: str, faces: Mapping[str, str]) -> list[int]:
    """Insert one entry for each face (face id -> model); the ids of the entries."""
    if not faces:
        return []
    now = dt.datetime.now(dt.UTC)
    rows = [
        {"tenant_id": tenant, "face_id": face_id, "model": model, "created": now} for face_id, model in faces.items()
    ]
    return list(connection.execute(index_journal.insert().returning(index_journal.c.id), rows).scalars())


def remove(connection: sa.Connection, ids: Iterable[int]) -> int:
    """Remove entries; how many of them still existed. Until the transaction ends, :func:`pending` skips them."""
    return delete_in(connection, index_journal, "id", ids)


def pending(
    connection: sa.Connection, limit: int, before: dt.datetime | None = None, ids: Sequence[int] | None = None
) -> list[sa.Row[tuple[int, str, str, str, dt.datetime]]]:
    """Lock and return the oldest entries, without those that another transaction has locked to remove them.

    Only entries from ``before`` this time, and only those with these ``ids``.
    """
    query = sa.select(index_journal).order_by(index_journal.c.id).limit(limit).with_for_update(skip_locked=True)
    if before is not None:
        query = query.where(index_journal.c.created < before)
    if ids is not None:
        query = query.where(index_journal.c.id.in_(ids))
    return list(connection.execute(query))


def faces_with_entries(connection: sa.Connection, face_ids: Iterable[str]) -> set[str]:
    """Those of the faces that have an entry, so that a writer or a repair is working on them."""
    column = index_journal.c.face_id
    return {row.face_id for row in rows_in(connection, sa.select(column), column, face_ids)}


def is_empty(connection: sa.Connection) -> bool:
    """Whether the journal has no entries."""
    return connection.execute(sa.select(index_journal.c.id).limit(1)).first() is None
