"""Statements about pairs of persons who were marked as different people although they look alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

import sqlalchemy as sa

from serve_app.gallery.sql.records.statements import batches, insertion, rows_in
from serve_app.gallery.sql.schema import distinct_persons, persons


def put(connection: sa.Connection, tenant: str, pairs: Iterable[tuple[str, str]]) -> None:
    """Store pairs of persons (internal ids, in any order); pairs with a person who does not exist are left out."""
    ordered = {(min(pair), max(pair)) for pair in pairs}
    query = sa.select(persons.c.id).where(persons.c.tenant_id == tenant)
    existing = {row.id for row in rows_in(connection, query, persons.c.id, {id_ for pair in ordered for id_ in pair})}
    rows = [_row(tenant, pair) for pair in sorted(ordered) if set(pair) <= existing]
    statement = insertion(connection, distinct_persons).on_conflict_do_nothing()
    for batch in batches(rows):
        connection.execute(statement, list(batch))


def inheritance(connection: sa.Connection, tenant: str, heir: str, other: str) -> list[sa.Executable]:
    """Statements that copy the marks of ``other`` to ``heir``, to be run before ``other`` is merged into it."""
    table = distinct_persons
    query = sa.select(table.c.first_id, table.c.second_id).where(
        table.c.tenant_id == tenant, sa.or_(table.c.first_id == other, table.c.second_id == other)
    )
    partners = {id_ for pair in connection.execute(query) for id_ in pair} - {heir, other}
    rows = [_row(tenant, (heir, id_)) for id_ in sorted(partners)]
    return [insertion(connection, table).values(list(batch)).on_conflict_do_nothing() for batch in batches(rows)]


def _row(tenant: str, pair: tuple[str, str]) -> dict[str, str]:
    return {"tenant_id": tenant, "first_id": min(pair), "second_id": max(pair)}


def drop(connection: sa.Connection, tenant: str, pair: tuple[str, str]) -> None:
    """Delete one pair; a pair that is not stored is no error."""
    table = distinct_persons
    connection.execute(
        table.delete().where(table.c.tenant_id == tenant, table.c.first_id == min(pair), table.c.second_id == max(pair))
    )


def earlier(connection: sa.Connection, ids: list[str]) -> Mapping[str, list[str]]:
    """Internal id -> those with a smaller internal id that the person was marked as different from."""
    table, found = distinct_persons, defaultdict(list)
    query = sa.select(table.c.second_id, table.c.first_id).where(table.c.second_id.in_(ids)).order_by(table.c.first_id)
    for second, first in connection.execute(query):
        found[second].append(first)
    return found
