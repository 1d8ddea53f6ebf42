"""Plans that move persons between collections, and plans that merge persons."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from serve_app.domain import Collection as StoredCollection
from serve_app.domain import Person, PersonFields
from serve_app.errors import InvalidRequest
from serve_app.gallery import checks
from serve_app.gallery.index.base import IndexRow, RowKey
from serve_app.gallery.sql.records import collections, distinct_persons, faces, persons
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


def merge_persons(
    connection: sa.Connection, tenant: str, person_id: str, other_id: str, name: str | None
) -> Planned[Person]:
    """See ``Persons.merge_persons``."""
    if person_id == other_id:
        raise InvalidRequest(f"Another person than {checks.quoted(person_id)} was expected, to merge with.")
    within = None if name is None else collections.get(connection, tenant, name, "share")
    person, other = persons.get_all(connection, tenant, [person_id, other_id])
    persons_collections, others_collections = (
        collections.by_ids(connection, persons.collection_ids(connection, row.id), "share") for row in (person, other)
    )
    for row, memberships in ((person, persons_collections), (other, others_collections)):
        if within is not None and all(each.id != within.id for each in memberships):
            raise persons.not_found(row.external_id, name)
    both = [*persons_collections, *without(others_collections, persons_collections)]
    after = [each for each in both if each.name != collections.POOL] or both
    person_joins, other_joins = without(after, persons_collections), without(after, others_collections)
    persons_faces = faces.of_persons(connection, [person.id], template=True)
    others_faces = faces.of_persons(connection, [other.id], template=True)
    check_policies({}, [], persons_faces, person_joins)
    check_policies({}, [], others_faces, other_joins)

    columns = persons.values(person_id, _gaps_filled(person, other), person)
    columns["date_of_birth"] = person.date_of_birth or other.date_of_birth
    if person.consent is None:
        columns |= {"consent": other.consent, "consent_expires": other.consent_expires}
    now = dt.datetime.now(dt.UTC)
    changes = Changes(tenant, "merge_persons", update_person={"id": person.id, "modified": now, **columns})
    changes.give_faces = {row.id: person.id for row in others_faces}
    move(changes, person.id, persons_faces, person_joins, without(persons_collections, after))
    _attach_and_detach(changes, others_faces, other_joins, without(others_collections, after))
    changes.leaves += [Membership(each.id, other.id) for each in others_collections]
    changes.statements += distinct_persons.inheritance(connection, tenant, person.id, other.id)
    changes.drop_persons = [other.id]
    return changes, lambda c: persons.load(c, [person.id])[person.id]


def _gaps_filled(person: sa.Row[Any], other: sa.Row[Any]) -> PersonFields:
    """The fields of the person, empty ones filled from the other; watch lists and metadata of both."""
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
    """Let a person (internal id) join and leave collections with faces; the faces' rows must have ``template``."""
    changes.joins += [Membership(collection.id, person_id) for collection in joined]
    changes.leaves += [Membership(collection.id, person_id) for collection in left]
    _attach_and_detach(changes, kept, joined, left)


def _attach_and_detach(
    changes: Changes, rows: Sequence[sa.Row[Any]], joined: Sequence[StoredCollection], left: Sequence[StoredCollection]
) -> None:
    for row in rows:
        vector = faces.to_vector(row.template)
        changes.attach[row.model] += [IndexRow(RowKey(collection.id, row.id), vector) for collection in joined]
        changes.detach[row.model] += [RowKey(collection.id, row.id) for collection in left]


def without(given: Sequence[StoredCollection], removed: Sequence[StoredCollection]) -> list[StoredCollection]:
    """The given collections that are not among ``removed``."""
    ids = {collection.id for collection in removed}
    return [collection for collection in given if collection.id not in ids]
