"""Plans that create and change persons; see :data:`~serve_app.gallery.writes.writer.Plan`."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

import sqlalchemy as sa

from serve_app.domain import Enrolment, NewFace, PersonFields, PersonUpdate
from serve_app.errors import FaceCountRefused
from serve_app.gallery.sql.records import collections, faces, persons
from serve_app.gallery.sql.records.changes import Changes
from serve_app.gallery.writes.membership_plans import move, without
from serve_app.gallery.writes.plan_parts import drop, enrolment, face_not_found, find_person, insert_faces, write_person
from serve_app.gallery.writes.policies import check_policies
from serve_app.gallery.writes.writer import Planned


def put_person(
    connection: sa.Connection,
    tenant: str,
    person_id: str,
    names: Sequence[str],
    fields: PersonFields,
    new: Mapping[str, NewFace],
    mode: Literal["replace", "add"],
    must_be_new: bool,
) -> Planned[Enrolment]:
    """See ``Persons.put_person``; ``new`` has the faces by their future ids."""
    named = collections.by_names(connection, tenant, list(dict.fromkeys(names)), "share")
    present = find_person(connection, tenant, person_id, must_be_new)
    if present is None and not named:
        named = [collections.get_pool(connection, tenant)]
    internal_id = present.id if present is not None else uuid.uuid4().hex
    already = persons.collection_ids(connection, internal_id)
    joined = [collection for collection in named if collection.id not in already]
    everywhere = [*collections.by_ids(connection, already, "share"), *joined]
    left = [c for c in everywhere if c.name == collections.POOL] if len(everywhere) > 1 else []
    everywhere = [collection for collection in everywhere if collection not in left]
    old = faces.of_persons(connection, [internal_id], template=True)
    kept = [] if new and mode == "replace" else old
    check_policies(new, everywhere, kept, joined)
    changes = Changes(tenant, "enrol" if new or present is None else "change_person")
    write_person(changes, internal_id, person_id, fields, present)
    insert_faces(changes, internal_id, new, everywhere)
    move(changes, internal_id, kept, joined, left)
    if old and not kept:
        drop(connection, changes, old)
    return changes, enrolment(internal_id, present is None, new)


def update_person(
    connection: sa.Connection, tenant: str, person_id: str, update: PersonUpdate, new: Mapping[str, NewFace]
) -> Planned[Enrolment]:
    """See ``Persons.update_person``; ``new`` has the new faces by their future ids."""
    wanted = None
    if update.collections is not None:
        named = list(dict.fromkeys(update.collections))
        wanted = collections.by_names(connection, tenant, named, "share") if named else []
    person = persons.get(connection, tenant, person_id, lock=True)
    before = collections.by_ids(connection, persons.collection_ids(connection, person.id), "share")
    after = before if wanted is None else wanted or [collections.get_pool(connection, tenant)]
    joined = without(after, before)

    old = faces.of_persons(connection, [person.id], template=True)
    removed = _removed(person_id, old, update)
    kept = [row for row in old if row.id not in removed]
    _check_count(update, len(old), len(kept), len(kept) + len(new))
    check_policies(new, after, kept, joined)
    changes = Changes(tenant, "enrol" if new else "change_person")
    write_person(changes, person.id, person_id, update.fields, person)
    drop(connection, changes, [row for row in old if row.id in removed])
    insert_faces(changes, person.id, new, after)
    move(changes, person.id, kept, joined, without(before, after))
    return changes, enrolment(person.id, False, new)


def _removed(person_id: str, old: Sequence[sa.Row[Any]], update: PersonUpdate) -> Collection[str]:
    present = {row.id for row in old}
    for face_id in update.removed_faces:
        if face_id not in present:
            raise face_not_found(face_id, person_id)
    return present if update.replace_faces else set(update.removed_faces)


def _check_count(update: PersonUpdate, before: int, kept: int, after: int) -> None:
    too_few = kept < before and after < update.min_faces
    too_many = update.new_faces and update.max_faces is not None and after > update.max_faces
    if too_few or too_many:
        wanted = f"at least {update.min_faces}" if too_few else f"at most {update.max_faces}"
        raise FaceCountRefused(
            f"The person would have {after} faces; {wanted} are allowed.",
            faces=after,
            min_faces=update.min_faces,
            max_faces=update.max_faces,
        )
