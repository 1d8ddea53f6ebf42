"""Tombstones: internal ids of what was erased, so that restoring a backup does not bring it back."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Literal

import sqlalchemy as sa

from serve_app.gallery.sql.records.statements import rows_in
from serve_app.gallery.sql.schema import erased

Kind = Literal["collection", "person", "face"]


def add(connection: sa.Connection, tenant: str, kind: Kind, ids: Iterable[str]) -> None:
    """Insert tombstones for things that are erased in this transaction."""
    rows = [{"id": id_, "tenant_id": tenant, "kind": kind, "created": dt.datetime.now(dt.UTC)} for id_ in ids]
    if rows:
        connection.execute(erased.insert(), rows)


def among(connection: sa.Connection, ids: Iterable[str]) -> set[str]:
    """Those of the ids that have a tombstone."""
    return {row.id for row in rows_in(connection, sa.select(erased.c.id), erased.c.id, ids)}
