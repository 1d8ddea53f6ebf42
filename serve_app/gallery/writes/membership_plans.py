"""Plans that move persons between collections, and merge persons."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from serve_app.domain import Collection as StoredCollection
from serve_app.domain import Person, PersonFields
from serve_app.errors import (
    InvalidRequest,
)
from serve_app.gallery import checks
from serve_app.gallery.index.base import IndexRow, RowKey
from serve_app.gallery.sql.records import collections, distinct_persons, faces, persons
from serve_app.gallery.sql.records.changes import Changes, Membership
from serve_app.gallery.writes.policies import check_policies
from serve_app.gallery.writes.writer import Plan


def link_persons(tenant: str, name: str, add: Sequence[str], remove: Sequence[str]) -> Plan[StoredCollection]:
    """See ``Directory.link_persons``."""

    def plan(connection: sa.Connection) -> tuple[Changes, Callable[[sa.Connection], StoredCollection]]:
        both = sorted(set(add) & set(remove))
        if both:
            raise InvalidRequest(f"The person {checks.quoted(both[0])} is to be added and removed at once.")
        collection = collections.get(connection, tenant, name, "share")
        rows = persons.get_all(connection, tenant, [*add, *remove])
        changes = Changes(tenant, "link_persons")
        adding = set(add)
        for person in rows:
            before = collections.by_ids(connection, persons.collection_ids(connection, person.id), "share")
            here = any(place.id == collection.id for place in before)
            kept = faces.of_persons(connection, [person.id], template=True)
            if person.external_id in adding:
                if not here:
                    check_policies({}, [], kept, [collection])
                    left = [place for place in before if place.name == collections.POOL]
                    move(changes, person.id, kept, [collection], left)
            elif not here:
                raise persons.not_found(person.external_id, name)
            else:
                pool = [] if len(before) > 1 else [collections.get_pool(connection, tenant)]
                move(changes, person.id, kept, pool, [collection])
        return changes, lambda connection: collections.get(connection, tenant, name)

    return plan


def merge_persons(tenant: str, person_id: str, other_id: str, name: str | None) -> Plan[Person]:
    """See ``Directory.merge_persons``."""

    def plan(connection: sa.Connection) -> tuple[Changes, Callable[[sa.Connection], Person]]:
        if person_id == other_id:
            raise InvalidRequest(f"Another person than {checks.quoted(person_id)} was expected, to merge with.")
        here = None if name is None else collections.get(connection, tenant, name, "share")
        person, other = persons.get_all(connection, tenant, [person_id, other_id])
        before, others = (
            collections.by_ids(connection, persons.collection_ids(connection, row.id), "share")
            for row in (person, other)
        )
        for row, places in ((person, before), (other, others)):
            if here is not None and all(place.id != here.id for place in places):
                raise persons.not_found(row.external_id, name)
        both = [*before, *without(others, before)]
        after = [place for place in both if place.name != collections.POOL] or both
        joined, come_to = without(after, before), without(after, others)
        kept = faces.of_persons(connection, [person.id], template=True)
        coming = faces.of_persons(connection, [other.id], template=True)
        check_policies({}, [], kept, joined)
        check_policies({}, [], coming, come_to)

        columns = persons.values(person_id, _gaps_filled(person, other), person)
        columns["date_of_birth"] = person.date_of_birth or other.date_of_birth
        now = dt.datetime.now(dt.UTC)
        changes = Changes(tenant, "merge_persons", update_person={"id": person.id, "modified": now, **columns})
        changes.give_faces = {row.id: person.id for row in coming}
        move(changes, person.id, kept, joined, without(before, after))
        _attach_and_detach(changes, coming, come_to, without(others, after))
        changes.leaves += [Membership(place.id, other.id) for place in others]
        changes.statements += distinct_persons.inheritance(connection, tenant, person.id, other.id)
        changes.drop_persons = [other.id]
        return changes, lambda connection: persons.load(connection, [person.id])[person.id]

    return plan


def _gaps_filled(person: sa.Row[Any], other: sa.Row[Any]) -> PersonFields:
    """What is known of the one, else of the other; lists and metadata of both."""
    mine, theirs = person._mapping, other._mapping
    texts = {text: mine[text] or theirs[text] for text in checks.PERSON_TEXTS}
    lists = tuple(dict.fromkeys((*mine["watch_list"], *theirs["watch_list"])))
    return PersonFields(**texts, watch_list=lists, metadata={**theirs["metadata"], **mine["metadata"]})


def move(
    changes: Changes,
    person_id: str,
    kept: Sequence[sa.Row[Any]],
    joined: Sequence[StoredCollection],
    left: Sequence[StoredCollection],
) -> None:
    """The person (internal id) joins and leaves collections with the faces that stay; the rows have templates."""
    changes.joins += [Membership(collection.id, person_id) for collection in joined]
    changes.leaves += [Membership(collection.id, person_id) for collection in left]
    _attach_and_detach(changes, kept, joined, left)


def _attach_and_detach(
    changes: Changes,
    rows: Sequence[sa.Row[Any]],
    joined: Sequence[StoredCollection],
    left: Sequence[StoredCollection],
) -> None:
    for row in rows:
        vector = faces.to_vector(row.template)
        changes.attach[row.model] += [IndexRow(RowKey(collection.id, row.id), vector) for collection in joined]
        changes.detach[row.model] += [RowKey(collection.id, row.id) for collection in left]


def without(these: Sequence[StoredCollection], those: Sequence[StoredCollection]) -> list[StoredCollection]:
    known = {collection.id for collection in those}
    return [collection for collection in these if collection.id not in known]
