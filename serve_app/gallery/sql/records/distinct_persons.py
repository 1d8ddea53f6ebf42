"""Statements about pairs of persons of whom somebody said that they are different people, however alike they look."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

import sqlalchemy as sa

from serve_app.gallery.sql.records.faces import batches
from serve_app.gallery.sql.records.upserts import insertion
from serve_app.gallery.sql.schema import distinct_persons, persons


def put(connection: sa.Connection, tenant: str, pairs: Iterable[tuple[str, str]]) -> None:
    """Note pairs of persons by their internal ids, in any order; whoever is not there is left out."""
    ordered = {(min(pair), max(pair)) for pair in pairs}
    there = {
        id_
        for batch in batches({id_ for pair in ordered for id_ in pair})
        for id_ in connection.execute(
            sa.select(persons.c.id).where(persons.c.tenant_id == tenant, persons.c.id.in_(batch))
        ).scalars()
    }
    rows = [_row(tenant, pair) for pair in sorted(ordered) if set(pair) <= there]
    statement = insertion(connection, distinct_persons).on_conflict_do_nothing()
    for batch in batches(rows):
        connection.execute(statement, list(batch))


def inheritance(connection: sa.Connection, tenant: str, heir: str, other: str) -> list[sa.Executable]:
    """What notes for a person whom somebody else is not, before that one is merged into the person and goes."""
    table = distinct_persons
    query = sa.select(table.c.first_id, table.c.second_id).where(
        table.c.tenant_id == tenant, sa.or_(table.c.first_id == other, table.c.second_id == other)
    )
    others = {id_ for pair in connection.execute(query) for id_ in pair} - {heir, other}
    rows = [_row(tenant, (heir, id_)) for id_ in sorted(others)]
    return [insertion(connection, table).values(list(batch)).on_conflict_do_nothing() for batch in batches(rows)]


def _row(tenant: str, pair: tuple[str, str]) -> dict[str, str]:
    return {"tenant_id": tenant, "first_id": min(pair), "second_id": max(pair)}


def drop(connection: sa.Connection, tenant: str, pair: tuple[str, str]) -> None:
    """Forget one pair; one that is not there is no error."""
    table = distinct_persons
    connection.execute(
        table.delete().where(table.c.tenant_id == tenant, table.c.first_id == min(pair), table.c.second_id == max(pair))
    )


def earlier(connection: sa.Connection, ids: list[str]) -> Mapping[str, list[str]]:
    """For each of these persons those with a smaller internal id who are known to be somebody else."""
    table, found = distinct_persons, defaultdict(list)
    query = sa.select(table.c.second_id, table.c.first_id).where(table.c.second_id.in_(ids)).order_by(table.c.first_id)
    for second, first in connection.execute(query):
        found[second].append(first)
    return found
