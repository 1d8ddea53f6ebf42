"""Plans that move persons between collections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from serve_app.domain import Collection as StoredCollection
from serve_app.errors import InvalidRequest
from serve_app.gallery import checks
from serve_app.gallery.index.base import IndexRow, RowKey
from serve_app.gallery.sql.records import collections, faces, persons
from serve_app.gallery.sql.records.changes import Changes, Membership
from serve_app.gallery.writes.policies import check_policies
from serve_app.gallery.writes.writer import Planned


def link_persons(
    connection: sa.Connection, tenant: str, name: str, add: Sequence[str], remove: Sequence[str]
) -> Planned[StoredCollection]:
    """See ``Persons.link_persons``."""
    both = sorted(set(add) & set(remove))
    if both:
        raise InvalidRequest(f"The person {checks.quoted(both[0])} is named both to be added and to be removed.")
    collection = collections.get(connection, tenant, name, "share")
    rows = persons.get_all(connection, tenant, [*add, *remove])
    changes = Changes(tenant, "link_persons")
    adding = set(add)
    for person in rows:
        before = collections.by_ids(connection, persons.collection_ids(connection, person.id), "share")
        is_member = any(each.id == collection.id for each in before)
        kept = faces.of_persons(connection, [person.id], template=True)
        if person.external_id in adding:
            if not is_member:
                check_policies({}, [], kept, [collection])
                left = [each for each in before if each.name == collections.POOL]
                move(changes, person.id, kept, [collection], left)
        elif not is_member:
            raise persons.not_found(person.external_id, name)
        else:
            pool = [] if len(before) > 1 else [collections.get_pool(connection, tenant)]
            move(changes, person.id, kept, pool, [collection])
    return changes, lambda c: collections.get(c, tenant, name)


def move(
    changes: Changes,
    person_id: str,
    kept: Sequence[sa.Row[Any]],
    joined: Sequence[StoredCollection],
    left: Sequence[StoredCollection],
) -> None:
    """Let a person (internal id) join and leave collections with faces; the faces' rows must have ``template``."""
    changes.joins += [Membership(collection.id, person_id) for collection in joined]
    changes.leaves += [Membership(collection.id, person_id) for collection in left]
    attach_and_detach(changes, kept, joined, left)


def attach_and_detach(
    changes: Changes, rows: Sequence[sa.Row[Any]], joined: Sequence[StoredCollection], left: Sequence[StoredCollection]
) -> None:
    """Let faces join and leave the vector index of collections; their rows must have ``template``."""
    for row in rows:
        vector = faces.to_vector(row.template)
        changes.attach[row.model] += [IndexRow(RowKey(collection.id, row.id), vector) for collection in joined]
        changes.detach[row.model] += [RowKey(collection.id, row.id) for collection in left]


def without(given: Sequence[StoredCollection], removed: Sequence[StoredCollection]) -> list[StoredCollection]:
    """The given collections that are not among ``removed``."""
    ids = {collection.id for collection in removed}
    return [collection for collection in given if collection.id not in ids]
