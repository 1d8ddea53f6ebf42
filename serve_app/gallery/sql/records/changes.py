"""The changes of one operation, and their execution in one fixed order.

This is the only module that inserts or deletes memberships. Collections have counts of their persons and faces. The
counts change here, by the number of memberships that each statement really inserted or deleted, so they equal a
COUNT(*) at every commit.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from serve_app.domain import AuditEntry
from serve_app.gallery.index.base import IndexRow, RowKey
from serve_app.gallery.sql.records import bulk_uploads
from serve_app.gallery.sql.records.faces import to_bytes
from serve_app.gallery.sql.records.statements import batches, delete_in, rows_in
from serve_app.gallery.sql.schema import (
    collections,
    erased,
    face_collections,
    face_templates,
    faces,
    person_collections,
)
from serve_app.gallery.sql.schema import persons as person_table


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

    def attached(self) -> list[RowKey]:
        """Memberships of faces that begin."""
        return [row.key for rows in self.attach.values() for row in rows]

    def detached(self) -> list[RowKey]:
        """Memberships of faces that end."""
        return [key for keys in self.detach.values() for key in keys]


@dataclass(slots=True)
class Counts:
    """Changes of the counts, by collection id."""

    persons: Counter[str] = field(default_factory=Counter)
    faces: Counter[str] = field(default_factory=Counter)


def write(connection: sa.Connection, changes: Changes) -> Counts:
    """Write everything except the rows of the collections themselves, see :func:`finish`; how their counts change."""
    counts = Counts()
    _insert(connection, person_table, changes.insert_persons)
    if changes.update_person is not None:
        columns = dict(changes.update_person)
        connection.execute(person_table.update().where(person_table.c.id == columns.pop("id")).values(**columns))
    _insert(connection, faces, changes.insert_faces)
    templates = [
        {"face_id": face_id, "model": model, "template": to_bytes(vector)}
        for face_id, by_model in changes.templates.items()
        for model, vector in by_model.items()
    ]
    _insert(connection, face_templates, templates)
    _update_faces(connection, "person_id", changes.give_faces)
    _update_faces(connection, "expires", changes.expire)
    for statement in changes.statements:
        connection.execute(statement)
    _begin(connection, person_collections, changes.joins, counts.persons)
    _begin(connection, face_collections, changes.attached(), counts.faces)
    _end(connection, face_collections, "face_id", changes.detached(), counts.faces)
    _end(connection, person_collections, "person_id", changes.leaves, counts.persons)
    face_ids = [face.id for face in changes.drop_faces]
    delete_in(connection, faces, "id", face_ids)
    bulk_uploads.forget(connection, changes.tenant, changes.drop_persons)
    delete_in(connection, person_table, "id", changes.drop_persons)
    dropped = {"face": face_ids, "person": changes.drop_persons, "collection": changes.drop_collections}
    facts = {"tenant_id": changes.tenant, "created": dt.datetime.now(dt.UTC)}
    _insert(connection, erased, [{**facts, "id": id_, "kind": kind} for kind, ids in dropped.items() for id_ in ids])
    return counts


def erased_among(connection: sa.Connection, ids: Iterable[str]) -> set[str]:
    """Those of the ids that have a tombstone, so that restoring a backup does not bring back what was erased."""
    return {row.id for row in rows_in(connection, sa.select(erased.c.id), erased.c.id, ids)}


def finish(connection: sa.Connection, changes: Changes, counts: Counts) -> None:
    """Write the rows of the collections: last, because from here on all writers of a collection wait for each other."""
    table = collections.c
    for id_ in sorted({*counts.persons, *counts.faces}):
        new = {
            "person_count": table.person_count + counts.persons[id_],
            "face_count": table.face_count + counts.faces[id_],
        }
        connection.execute(collections.update().where(table.id == id_).values(new))
    delete_in(connection, collections, "id", changes.drop_collections)


def _insert(connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        connection.execute(table.insert(), rows)


def _update_faces(connection: sa.Connection, column: str, values: Mapping[str, Any]) -> None:
    """Set a column of faces (face id -> value)."""
    by_value = defaultdict(list)
    for face_id, value in values.items():
        by_value[value].append(face_id)
    for value, face_ids in by_value.items():
        for batch in batches(face_ids):
            connection.execute(faces.update().where(faces.c.id.in_(batch)).values({column: value}))


def _begin(
    connection: sa.Connection, table: sa.Table, memberships: Sequence[Membership | RowKey], count: Counter[str]
) -> None:
    _insert(connection, table, [each._asdict() for each in memberships])
    count.update(each.collection_id for each in memberships)


def _end(
    connection: sa.Connection,
    table: sa.Table,
    column: str,
    memberships: Iterable[Membership | RowKey],
    count: Counter[str],
) -> None:
    by_collection = defaultdict(list)
    for collection_id, member in memberships:
        by_collection[collection_id].append(member)
    for collection_id, members in by_collection.items():
        count[collection_id] -= delete_in(connection, table, column, members, table.c.collection_id == collection_id)
