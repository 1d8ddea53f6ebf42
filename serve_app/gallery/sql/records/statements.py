"""Parts of statements, with the same results in both databases: batches, pages, filters by text, upserts, leases."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields
from enum import StrEnum
from functools import cache
from itertools import islice
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.elements import KeyedColumnElement

from serve_app.errors import StoreUnavailable
from serve_app.gallery.checks import check_limit, check_text, decode_cursor, encode_cursor
from serve_app.gallery.sql.folding import folded

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

BATCH = 1000

IDS: sa.BindParameter[Any] = sa.bindparam("ids", expanding=True)
"""The parameter of statements that are built once: every search needs them, and building one takes as long as SQLite
takes to run it."""


def batches(values: Iterable[T], size: int = BATCH) -> Iterator[Sequence[T]]:
    """The values in lists of at most ``size``, because databases limit the parameters of one statement."""
    iterator = iter(values)
    while batch := list(islice(iterator, size)):
        yield batch


def rows_in(
    connection: sa.Connection, query: sa.Select[Any], column: sa.ColumnElement[Any], values: Iterable[Any]
) -> Iterator[sa.Row[Any]]:
    """The rows of a query in which the column has one of the values, in the order of the batches of values."""
    for batch in batches(values):
        yield from connection.execute(query.where(column.in_(batch)))


def delete_in(
    connection: sa.Connection, table: sa.Table, column: str, values: Iterable[Any], *conditions: sa.ColumnElement[bool]
) -> int:
    """Delete the rows in which the column has one of the values; the number deleted."""
    delete = table.delete().where(*conditions)
    return sum(connection.execute(delete.where(table.c[column].in_(batch))).rowcount for batch in batches(values))


def count(connection: sa.Connection, query: sa.Select[Any]) -> int:
    """The number of rows of a query."""
    return int(connection.execute(sa.select(sa.func.count()).select_from(query.subquery())).scalar_one())


def to_value(kind: Callable[..., T], row: sa.Row[Any], /, **converted: Any) -> T:
    """A row as a domain value: the columns that have the names of the dataclass's fields, and the converted ones."""
    columns = row._mapping
    return kind(**{name: columns[name] for name in _field_names(kind) - converted.keys()}, **converted)


def to_choice(kind: type[E], value: str, column: str) -> E:
    """A stored text as one of the choices.

    Raises StoreUnavailable: it is none of them, because another version, or an import of an earlier one, wrote it.
    """
    try:
        return kind(value)
    except ValueError:
        raise StoreUnavailable(
            f"The database has a row whose {column} is none of {', '.join(kind)}; correct it there."
        ) from None


@cache
def _field_names(kind: Any) -> frozenset[str]:
    return frozenset(field.name for field in fields(kind))


def search_text(*texts: str) -> str:
    """The value of a column ``search_text``, which :func:`containing` looks into."""
    return "\n".join(texts)


def containing(column: sa.Column[str], q: str) -> list[sa.ColumnElement[bool]]:
    """The condition that the column contains ``q``, both folded; none if nothing is left. Raises InvalidRequest."""
    sought = folded(check_text("q", q, 200))
    return [column.contains(sought, autoescape=True)] if sought else []


def by_code_point(connection: sa.Connection, text: sa.ColumnElement[Any]) -> sa.ColumnElement[str]:
    """A text to order by, compared by code point in both databases."""
    return sa.collate(text, "C" if connection.dialect.name == "postgresql" else "BINARY")


def page_of(
    connection: sa.Connection, query: sa.Select[Any], key: KeyedColumnElement[Any], limit: int, cursor: str | None
) -> tuple[list[sa.Row[Any]], str | None]:
    """Up to ``limit`` rows after the cursor, ordered by the key, and the cursor of the next page.

    Raises InvalidRequest (cursor, limit).
    """
    if (after := decode_cursor(cursor, str)) is not None:
        query = query.where(key > after)
    return cut(connection, query.order_by(key), limit, lambda row: str(getattr(row, str(key.key))))


def cut(
    connection: sa.Connection, query: sa.Select[Any], limit: int, position: Callable[[sa.Row[Any]], str]
) -> tuple[list[sa.Row[Any]], str | None]:
    """The first ``limit`` rows, and the cursor of the next page, which has the last row's position; None at the end.

    Raises InvalidRequest (limit).
    """
    rows = list(connection.execute(query.limit(check_limit(limit) + 1)))
    return rows[:limit], encode_cursor(position(rows[limit - 1])) if len(rows) > limit else None


def insertion(connection: sa.Connection, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
    """An INSERT that supports ``on_conflict_...``; SQLAlchemy has a separate class for each database."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)


def lease(connection: sa.Connection, table: sa.Table, worker: str, until: dt.datetime, now: dt.datetime) -> bool:
    """Take or extend the lease in the table's only row until then; False if another worker has it."""
    free = sa.or_(table.c.worker.is_(None), table.c.worker == worker, table.c.worker_until < now)
    mine = table.update().where(free).values(worker=worker, worker_until=until)
    return connection.execute(mine).rowcount == 1
