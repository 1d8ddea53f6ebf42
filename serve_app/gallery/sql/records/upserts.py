"""Insertions for which a row with the same key may already exist."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite


def insertion(connection: sa.Connection, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
    """An INSERT that supports ``on_conflict_...``; SQLAlchemy has a separate class for each database."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)
