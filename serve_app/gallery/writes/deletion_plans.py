"""Plans that delete persons, faces and collections."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import sqlalchemy as sa

from serve_app.domain import Collection, Deletion
from serve_app.errors import CollectionNotEmpty
from serve_app.gallery.index.base import IndexRow, RowKey
from serve_app.gallery.sql.records import collections, faces, persons
from serve_app.gallery.sql.records.changes import Changes, Membership
from serve_app.gallery.writes.plan_parts import drop, face_not_found
from serve_app.gallery.writes.writer import Planned


def delete_person(connection: sa.Connection, tenant: str, person_id: str, name: str | None) -> Planned[Deletion]:
    """See ``Persons.delete_person``."""
    collection = None if name is None else collections.get(connection, tenant, name, "share")
    person = persons.get(connection, tenant, person_id, lock=True)
    already = persons.collection_ids(connection, person.id)
    if collection is not None and collection.id not in already:
        raise persons.not_found(person_id, name)
    changes = Changes(tenant, "delete_person")
    rows = faces.of_persons(connection, [person.id])
    if collection is not None and already != {collection.id}:
        changes.leaves = [Membership(collection.id, person.id)]
        for row in rows:
            changes.detach[row.model].append(RowKey(collection.id, row.id))
        return changes, lambda _: Deletion()
    changes.leaves = [Membership(collection_id, person.id) for collection_id in already]
    drop(connection, changes, rows)
    changes.drop_persons = [person.id]
    return changes, lambda _: Deletion(persons=1, faces=len(rows), erased=True)


def delete_persons(connection: sa.Connection, tenant: str, person_ids: Sequence[str]) -> Planned[Deletion]:
    """See ``Persons.delete_persons``."""
    changes = Changes(tenant, "delete_persons")
    changes.drop_persons = [row.id for row in persons.get_all(connection, tenant, person_ids)]
    rows = faces.of_persons(connection, changes.drop_persons)
    drop(connection, changes, rows)
    for person_id in changes.drop_persons:
        changes.leaves += [Membership(id_, person_id) for id_ in persons.collection_ids(connection, person_id)]
    outcome = Deletion(persons=len(changes.drop_persons), faces=len(rows), erased=True)
    return changes, lambda _: outcome


def delete_face(
    connection: sa.Connection,
    tenant: str,
    face_id: str,
    person_id: str | None = None,
    name: str | None = None,
    with_person: bool = False,
) -> Planned[Deletion]:
    """See ``Faces.delete_face``."""
    collection = None if name is None else collections.get(connection, tenant, name, "share")
    row = faces.find(connection, tenant, face_id)
    if row is not None and row.external_id is not None:
        persons.find(connection, tenant, row.external_id, lock=True)
        row = faces.find(connection, tenant, face_id)  # another writer may have erased it while this one waited
    if row is None or (person_id is not None and row.external_id != person_id):
        raise face_not_found(face_id, person_id)
    if collection is not None and RowKey(collection.id, face_id) not in faces.memberships(connection, [face_id]):
        raise face_not_found(face_id, collection=name)
    if with_person and row.person_id is not None and len(faces.of_persons(connection, [row.person_id])) == 1:
        return delete_person(connection, tenant, row.external_id, name)
    changes = Changes(tenant, "delete_face")
    drop(connection, changes, [row])
    if row.person_id is not None:
        changes.update_person = {"id": row.person_id, "modified": dt.datetime.now(dt.UTC)}
    return changes, lambda _: Deletion(faces=1, erased=True)


def delete_collection(
    connection: sa.Connection,
    tenant: str,
    name: str,
    only_if_empty: bool,
    keep_persons: bool = False,
    lifetime: dt.timedelta | None = None,
) -> Planned[Deletion]:
    """See ``Collections.delete_collection``; with ``lifetime``, faces without a person expire after it."""
    collection = collections.get(connection, tenant, name, "update")
    members = persons.lock_in_collection(connection, collection.id)
    unassigned = faces.of_collection_without_person(connection, collection.id)
    if only_if_empty and (members or unassigned):
        raise CollectionNotEmpty(
            f"The collection {name} still has {len(members)} persons and {len(unassigned)} faces without a person.",
            persons=len(members),
            faces=len(unassigned),
        )
    changes = Changes(tenant, "delete_collection", drop_collections=[collection.id])
    staying = persons.elsewhere(connection, collection.id)
    leaving = sorted(set(members) - staying)
    if keep_persons and leaving:
        _to_pool(connection, changes, tenant, leaving)
        staying |= set(leaving)
        leaving = []
    changes.drop_persons = leaving
    changes.leaves = [Membership(collection.id, person_id) for person_id in members]
    memberships = faces.memberships(connection, [row.id for row in unassigned])
    shared = {key.face_id for key in memberships if key.collection_id != collection.id}
    if lifetime is not None:
        expires = dt.datetime.now(dt.UTC) + lifetime
        changes.expire = {row.id: expires for row in unassigned if row.id not in shared}
    kept = shared | changes.expire.keys()
    dropped = [
        *faces.of_persons(connection, changes.drop_persons),
        *(row for row in unassigned if row.id not in kept),
    ]
    drop(connection, changes, dropped)
    unknown_faces = _drop_unknowns(connection, changes, collection)
    for row in (*faces.of_persons(connection, sorted(staying)), *(row for row in unassigned if row.id in kept)):
        changes.detach[row.model].append(RowKey(collection.id, row.id))
    outcome = Deletion(persons=len(changes.drop_persons), faces=len(dropped) + unknown_faces, erased=True)
    return changes, lambda _: outcome


def _drop_unknowns(connection: sa.Connection, changes: Changes, collection: Collection) -> int:
    """Erase a collection's unknowns collection with its faces; the number of faces."""
    hidden = collections.unknowns_collection(connection, collection)
    if hidden is None:
        return 0
    rows = faces.of_collection_without_person(connection, hidden.id)
    drop(connection, changes, rows)
    changes.drop_collections.append(hidden.id)
    return len(rows)


def _to_pool(connection: sa.Connection, changes: Changes, tenant: str, person_ids: Sequence[str]) -> None:
    """Let these persons (internal ids) join the pool with all their faces."""
    pool = collections.get_pool(connection, tenant)
    changes.joins += [Membership(pool.id, person_id) for person_id in person_ids]
    for row in faces.of_persons(connection, person_ids, template=True):
        changes.attach[row.model].append(IndexRow(RowKey(pool.id, row.id), faces.to_vector(row.template)))
