"""Column types that behave the same in SQLite and PostgreSQL, and columns that many tables share."""

from __future__ import annotations

import datetime as dt
from typing import Any

import sqlalchemy as sa


class UtcDateTime(sa.types.TypeDecorator[dt.datetime]):
    """A time: timezone-aware UTC in and out, also in SQLite, which stores no time zone."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: sa.Dialect) -> dt.datetime | None:
        """Convert to UTC. Raises ValueError for a time without a time zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a timezone-aware time was expected, got {value!r}")
        return value.astimezone(dt.UTC)

    def process_result_value(self, value: dt.datetime | None, dialect: sa.Dialect) -> dt.datetime | None:
        """Attach UTC where the database returned no time zone."""
        if value is None:
            return None
        return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)


Id = sa.String(32)
"""An id: 32 hex digits."""

Ordered = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
"""A text that listings are ordered by: compared by code point in both databases."""

Serial = sa.BigInteger().with_variant(sa.Integer, "sqlite")
"""A whole number of 64 bits; SQLite counts up automatically only in columns of the type INTEGER."""


def id_column() -> sa.Column[str]:
    """The primary key ``id``."""
    return sa.Column("id", Id, primary_key=True)


def times() -> tuple[sa.Column[Any], sa.Column[Any]]:
    """``created`` and ``modified``: when the row was inserted and last changed."""
    return sa.Column("created", UtcDateTime, nullable=False), sa.Column("modified", UtcDateTime, nullable=False)


def tenant_column() -> sa.Column[str]:
    """``tenant_id``: the tenant that owns the row."""
    return sa.Column("tenant_id", Id, sa.ForeignKey("tenants.id"), nullable=False)


def texts(*names: str) -> list[sa.Column[str]]:
    """Text columns that are never null."""
    return [sa.Column(name, sa.Text, nullable=False) for name in names]
