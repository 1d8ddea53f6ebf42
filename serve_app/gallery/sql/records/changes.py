"""The changes of one operation, and their execution in one fixed order.

This is the only module that inserts or deletes memberships. Collections have counts of their persons and faces. The
counts change here, by the number of memberships that each statement really inserted or deleted, so they equal a
COUNT(*) at every commit.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from serve_app.domain import AuditEntry
from serve_app.gallery.index.base import IndexRow, RowKey
from serve_app.gallery.sql.records import tombstones
from serve_app.gallery.sql.records.faces import batches, to_bytes
from serve_app.gallery.sql.schema import (
    collections,
    face_collections,
    face_templates,
    faces,
    person_collections,
    persons,
)


class Membership(NamedTuple):
    """A person's membership in a collection, both by internal id."""

    collection_id: str
    person_id: str


class DroppedFace(NamedTuple):
    """A face to be erased."""

    id: str
    model: str
    has_images: bool


@dataclass(slots=True)
class Changes:
    """The changes of one operation, for one tenant.

    Attributes:
        action: its name in the audit log.
        insert_persons, update_person: columns; an update names the row by ``id``.
        joins, leaves: memberships of persons that begin and end.
        insert_faces: columns of new faces.
        templates: secondary templates to insert, of new and of existing faces: face id -> model -> template.
        give_faces: face id -> internal id of the person that it is moved to.
        expire: face id -> when it expires, None for never.
        attach, detach: memberships of faces that begin and end, by the model of the face's first template; an attached
            row has that template, for the index.
        statements: further changes of the records that touch neither memberships nor the index.
        drop_faces, drop_persons, drop_collections: what is erased, after its memberships have ended.
        recorded: the entries of the audit log, once they are written.
    """

    tenant: str
    action: str = "change"
    insert_persons: list[dict[str, Any]] = field(default_factory=list)
    update_person: dict[str, Any] | None = None
    joins: list[Membership] = field(default_factory=list)
    leaves: list[Membership] = field(default_factory=list)
    insert_faces: list[dict[str, Any]] = field(default_factory=list)
    templates: Mapping[str, Mapping[str, NDArray[np.float32]]] = field(default_factory=dict)
    give_faces: dict[str, str] = field(default_factory=dict)
    expire: dict[str, dt.datetime | None] = field(default_factory=dict)
    attach: dict[str, list[IndexRow]] = field(default_factory=lambda: defaultdict(list))
    detach: dict[str, list[RowKey]] = field(default_factory=lambda: defaultdict(list))
    statements: list[sa.Executable] = field(default_factory=list)
    drop_faces: list[DroppedFace] = field(default_factory=list)
    drop_persons: list[str] = field(default_factory=list)
    drop_collections: list[str] = field(default_factory=list)
    recorded: list[AuditEntry] = field(default_factory=list)

    def touched(self) -> dict[str, str]:
        """Faces whose index rows or images change: face id -> one of its models."""
        result = {row["id"]: row["model"] for row in self.insert_faces}
        result.update((face_id, model) for face_id, by_model in self.templates.items() for model in by_model)
        result.update((row.key.face_id, model) for model, rows in self.attach.items() for row in rows)
        result.update((key.face_id, model) for model, keys in self.detach.items() for key in keys)
        result.update((face.id, face.model) for face in self.drop_faces)
        return result


@dataclass(slots=True)
class Counts:
    """Changes of the counts, by collection id."""

    persons: Counter[str] = field(default_factory=Counter)
    faces: Counter[str] = field(default_factory=Counter)


def write(connection: sa.Connection, changes: Changes) -> Counts:
    """Write everything except the rows of the collections themselves, see :func:`finish`; how their counts change."""
    counts = Counts()
    if changes.insert_persons:
        connection.execute(persons.insert(), changes.insert_persons)
    if changes.update_person is not None:
        columns = dict(changes.update_person)
        connection.execute(persons.update().where(persons.c.id == columns.pop("id")).values(**columns))
    if changes.insert_faces:
        connection.execute(faces.insert(), changes.insert_faces)
    _add_templates(connection, changes)
    _give_faces(connection, changes.give_faces)
    _set_expiry(connection, changes.expire)
    for statement in changes.statements:
        connection.execute(statement)
    _join_persons(connection, changes.joins, counts)
    _attach_faces(connection, (row.key for rows in changes.attach.values() for row in rows), counts)
    _detach_faces(connection, (key for keys in changes.detach.values() for key in keys), counts)
    _leave_persons(connection, changes.leaves, counts)
    for batch in batches([face.id for face in changes.drop_faces]):
        connection.execute(faces.delete().where(faces.c.id.in_(batch)))
    for batch in batches(changes.drop_persons):
        connection.execute(persons.delete().where(persons.c.id.in_(batch)))
    tombstones.add(connection, changes.tenant, "face", [face.id for face in changes.drop_faces])
    tombstones.add(connection, changes.tenant, "person", changes.drop_persons)
    tombstones.add(connection, changes.tenant, "collection", changes.drop_collections)
    return counts


def finish(connection: sa.Connection, changes: Changes, counts: Counts) -> None:
    """Write the rows of the collections: last, because from here on all writers of a collection wait for each other."""
    for collection_id in sorted({*counts.persons, *counts.faces}):
        connection.execute(
            collections.update()
            .where(collections.c.id == collection_id)
            .values(
                person_count=collections.c.person_count + counts.persons[collection_id],
                face_count=collections.c.face_count + counts.faces[collection_id],
            )
        )
    for collection_id in changes.drop_collections:
        connection.execute(collections.delete().where(collections.c.id == collection_id))


def _add_templates(connection: sa.Connection, changes: Changes) -> None:
    rows = [
        {"face_id": face_id, "model": model, "template": to_bytes(vector)}
        for face_id, by_model in changes.templates.items()
        for model, vector in by_model.items()
    ]
    if rows:
        connection.execute(face_templates.insert(), rows)


def _give_faces(connection: sa.Connection, give_faces: dict[str, str]) -> None:
    by_person = defaultdict(list)
    for face_id, person_id in give_faces.items():
        by_person[person_id].append(face_id)
    for person_id, face_ids in by_person.items():
        for batch in batches(face_ids):
            connection.execute(faces.update().where(faces.c.id.in_(batch)).values(person_id=person_id))


def _set_expiry(connection: sa.Connection, expire: dict[str, dt.datetime | None]) -> None:
    by_time = defaultdict(list)
    for face_id, when in expire.items():
        by_time[when].append(face_id)
    for when, face_ids in by_time.items():
        for batch in batches(face_ids):
            connection.execute(faces.update().where(faces.c.id.in_(batch)).values(expires=when))


def _join_persons(connection: sa.Connection, joins: list[Membership], counts: Counts) -> None:
    if joins:
        connection.execute(person_collections.insert(), [membership._asdict() for membership in joins])
        counts.persons.update(membership.collection_id for membership in joins)


def _attach_faces(connection: sa.Connection, keys: Iterable[RowKey], counts: Counts) -> None:
    rows = [key._asdict() for key in keys]
    if rows:
        connection.execute(face_collections.insert(), rows)
        counts.faces.update(row["collection_id"] for row in rows)


def _leave_persons(connection: sa.Connection, leaves: list[Membership], counts: Counts) -> None:
    by_collection = defaultdict(list)
    for collection_id, person_id in leaves:
        by_collection[collection_id].append(person_id)
    table = person_collections
    for collection_id, person_ids in by_collection.items():
        for batch in batches(person_ids):
            chosen = sa.and_(table.c.collection_id == collection_id, table.c.person_id.in_(batch))
            counts.persons[collection_id] -= connection.execute(table.delete().where(chosen)).rowcount


def _detach_faces(connection: sa.Connection, keys: Iterable[RowKey], counts: Counts) -> None:
    by_collection = defaultdict(list)
    for collection_id, face_id in keys:
        by_collection[collection_id].append(face_id)
    table = face_collections
    for collection_id, face_ids in by_collection.items():
        for batch in batches(face_ids):
            chosen = sa.and_(table.c.collection_id == collection_id, table.c.face_id.in_(batch))
            counts.faces[collection_id] -= connection.execute(table.delete().where(chosen)).rowcount
