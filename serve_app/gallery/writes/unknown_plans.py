"""Plans that keep, name and discard unknowns."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import sqlalchemy as sa

from serve_app.domain import Collection, Deletion, Enrolment, NewFace, PersonFields, Sighting
from serve_app.errors import UnknownsNotKept
from serve_app.gallery.index.base import IndexRow, RowKey
from serve_app.gallery.sql.records import collections, faces, persons, unknowns
from serve_app.gallery.sql.records.changes import Changes
from serve_app.gallery.sql.records.statements import batches
from serve_app.gallery.sql.schema import faces as face_table
from serve_app.gallery.writes.membership_plans import move
from serve_app.gallery.writes.plan_parts import columns_of, drop, enrolment, find_person, write_person
from serve_app.gallery.writes.policies import check_policies
from serve_app.gallery.writes.writer import Planned


class Assignment(NamedTuple):
    """What to do with an unrecognised face.

    Attributes:
        known: id of the existing unknown that it is similar to, None if there is none.
        new: id of the new unknown that it begins if there is none.
        face_id: id that the face gets, None if it must not be kept.
    """

    known: str | None
    new: str
    face_id: str | None


def check_keeps(collection: Collection) -> dt.timedelta:
    """How long the collection keeps unrecognised faces. Raises UnknownsNotKept if it keeps none."""
    if not collection.policy.keep_unknown_h:
        raise UnknownsNotKept(
            f"The policy of the collection {collection.name} does not allow keeping unknown faces; an administrator "
            "can set its keep_unknown_h.",
            collection=collection.name,
        )
    return dt.timedelta(hours=collection.policy.keep_unknown_h)


def keep(
    connection: sa.Connection, tenant: str, name: str, assignments: Sequence[Assignment], new: Mapping[str, NewFace]
) -> Planned[tuple[Sighting | None, ...]]:
    """See ``Unknowns.keep_unknown``; ``new`` has the faces to keep by their future ids."""
    collection = collections.get(connection, tenant, name, "share")
    lifetime = check_keeps(collection)
    hidden = collections.get_unknowns_collection(connection, collection)
    check_policies(new, [collection], [], [])
    similar = [each.known for each in assignments if each.known is not None]
    existing = unknowns.lock(connection, collection.id, similar)
    now = dt.datetime.now(dt.UTC)
    changes = Changes(tenant, "keep_unknown")
    answer: list[Sighting | None] = []
    for position, each in enumerate(assignments):
        if each.known is not None and each.known in existing:
            sighting = Sighting(each.known, False)
            changes.statements.append(unknowns.see(each.known, now))
        elif each.face_id is None:
            answer.append(None)  # the collection is full, or the unknown was discarded since
            continue
        else:
            sighting = Sighting(each.new, True)
            changes.statements.append(unknowns.insert(each.new, collection.id, now))
        answer.append(sighting)
        if each.face_id is not None:
            face = new[each.face_id]
            row = columns_of(tenant, None, each.face_id, face, position, now, now + lifetime)
            changes.insert_faces.append(row)
            changes.attach[face.model].append(IndexRow(RowKey(hidden.id, each.face_id), face.template))
            changes.statements.append(unknowns.join(each.face_id, sighting.id))
    return changes, lambda _: tuple(answer)


def name_unknown(
    connection: sa.Connection,
    tenant: str,
    name: str,
    unknown_id: str,
    person_id: str,
    fields: PersonFields,
    must_be_new: bool,
) -> Planned[Enrolment]:
    """See ``Unknowns.name_unknown``."""
    collection = collections.get(connection, tenant, name, "share")
    person = find_person(connection, tenant, person_id, must_be_new)
    found = unknowns.face_rows(connection, unknowns.lock(connection, collection.id, [unknown_id]))
    if not found:
        raise unknowns.not_found(unknown_id, name)
    hidden = collections.get_unknowns_collection(connection, collection)
    internal_id = uuid.uuid4().hex if person is None else person.id
    before = collections.by_ids(connection, persons.collection_ids(connection, internal_id), "share")
    joined = [] if any(each.id == collection.id for each in before) else [collection]
    left = [each for each in before if each.name == collections.POOL]
    old = faces.of_persons(connection, [internal_id], template=True)
    everywhere = [*(each for each in before if each not in left), *joined]
    check_policies({}, [], found, everywhere)
    check_policies({}, [], old, joined)
    changes = Changes(tenant, "name_unknown")
    write_person(changes, internal_id, person_id, fields, person)
    move(changes, internal_id, old, joined, left)
    for row in found:
        vector = faces.to_vector(row.template)
        changes.attach[row.model] += [IndexRow(RowKey(each.id, row.id), vector) for each in everywhere]
        changes.detach[row.model].append(RowKey(hidden.id, row.id))
        changes.expire[row.id] = None
    ids = [row.id for row in found]
    own = face_table.update().where(face_table.c.id.in_(ids)).values(person_id=internal_id)
    changes.statements = [own, unknowns.forget([unknown_id])]
    return changes, enrolment(internal_id, person is None, ids)


def discard(connection: sa.Connection, tenant: str, name: str, unknown_id: str | None) -> Planned[Deletion]:
    """See ``Unknowns.discard_unknown``."""
    collection = collections.get(connection, tenant, name, "share")
    ids = unknowns.all_ids(connection, collection.id) if unknown_id is None else [unknown_id]
    existing = sorted(unknowns.lock(connection, collection.id, ids))
    if unknown_id is not None and not existing:
        raise unknowns.not_found(unknown_id, name)
    rows = unknowns.face_rows(connection, existing)
    changes = Changes(tenant, "discard_unknown", statements=[unknowns.forget(batch) for batch in batches(existing)])
    drop(connection, changes, rows)
    return changes, lambda _: Deletion(faces=len(rows), erased=True)
