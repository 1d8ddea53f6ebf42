"""Statements about unassigned faces (faces without a person)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from serve_app.gallery.checks import is_id
from serve_app.gallery.sql.records.statements import rows_in
from serve_app.gallery.sql.schema import faces, unknown_faces


def take(connection: sa.Connection, tenant: str, face_ids: Iterable[str]) -> dict[str, sa.Row[Any]]:
    """Lock and return those of the unassigned faces that exist and have not expired, with templates, by id.

    Faces of unknowns are left out: they can only be named.
    """
    query = (
        sa.select(faces)
        .where(
            faces.c.tenant_id == tenant,
            faces.c.person_id.is_(None),
            sa.or_(faces.c.expires.is_(None), faces.c.expires > dt.datetime.now(dt.UTC)),
            faces.c.id.not_in(sa.select(unknown_faces.c.face_id)),
        )
        .order_by(faces.c.id)
        .with_for_update()
    )
    wanted = sorted({face_id for face_id in face_ids if is_id(face_id)})
    return {row.id: row for row in rows_in(connection, query, faces.c.id, wanted)}


def due(connection: sa.Connection, now: dt.datetime, tenant: str, limit: int) -> list[sa.Row[Any]]:
    """Up to ``limit`` expired faces of a tenant, without those that another transaction has locked to attach them."""
    query = (
        sa.select(faces.c.id, faces.c.model, faces.c.has_thumbnail, faces.c.has_photograph)
        .where(faces.c.tenant_id == tenant, faces.c.expires <= now)
        .order_by(faces.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return list(connection.execute(query))


def tenants_with_due(connection: sa.Connection, now: dt.datetime) -> list[str]:
    """Ids of the tenants that have expired faces."""
    return list(connection.execute(sa.select(faces.c.tenant_id).where(faces.c.expires <= now).distinct()).scalars())


def set_user_id(connection: sa.Connection, face_id: str, user_id: str) -> None:
    """Store the text that a client attached to a face."""
    connection.execute(faces.update().where(faces.c.id == face_id).values(user_id=user_id))
