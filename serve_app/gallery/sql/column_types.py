"""Types of columns that every supported database reads and writes alike, and the columns that many tables have."""

from __future__ import annotations

import datetime as dt
from typing import Any

import sqlalchemy as sa


class UtcDateTime(sa.types.TypeDecorator[dt.datetime]):
    """Timezone-aware UTC in and out, also where the database knows no time zones."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: sa.Dialect) -> dt.datetime | None:
        """To UTC; naive times are refused."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a timezone-aware time was expected, got {value!r}")
        return value.astimezone(dt.UTC)

    def process_result_value(self, value: dt.datetime | None, dialect: sa.Dialect) -> dt.datetime | None:
        """Back with UTC attached."""
        if value is None:
            return None
        return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)


Id = sa.String(32)
Ordered = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
Serial = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def id_column() -> sa.Column[str]:
    """The primary key."""
    return sa.Column("id", Id, primary_key=True)


def times() -> tuple[sa.Column[Any], sa.Column[Any]]:
    """When the row was made, and when it was last changed."""
    return sa.Column("created", UtcDateTime, nullable=False), sa.Column("modified", UtcDateTime, nullable=False)


def tenant_column() -> sa.Column[str]:
    """Whose the row is."""
    return sa.Column("tenant_id", Id, sa.ForeignKey("tenants.id"), nullable=False)


def text_column(name: str) -> sa.Column[str]:
    """A text that is always there."""
    return sa.Column(name, sa.Text, nullable=False)
