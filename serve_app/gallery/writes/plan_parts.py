"""Parts that several plans have: adding and erasing faces, writing a person, and the result of an enrolment."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from serve_app.domain import Collection, Enrolment, NewFace, PersonFields
from serve_app.errors import FaceIdNotFound, PersonExists
from serve_app.gallery import checks
from serve_app.gallery.index.base import IndexRow, RowKey
from serve_app.gallery.sql.records import faces, persons
from serve_app.gallery.sql.records.changes import Changes, DroppedFace


def face_not_found(face_id: object, person_id: str | None = None, collection: str | None = None) -> FaceIdNotFound:
    """The error for a face that does not exist, is not that person's, or is not in that collection."""
    of_person = "" if person_id is None else f" of the person {checks.quoted(person_id)}"
    in_collection = "" if collection is None else f" in the collection {collection}"
    text = f"There is no face{of_person} with the id {checks.quoted(face_id)}{in_collection}."
    return FaceIdNotFound(text, face_id=str(face_id)[:100])


def drop(connection: sa.Connection, changes: Changes, rows: Iterable[sa.Row[Any]]) -> None:
    """Erase these faces, and end all their memberships."""
    rows = list(rows)
    models = {row.id: row.model for row in rows}
    for key in faces.memberships(connection, models):
        changes.detach[models[key.face_id]].append(key)
    changes.drop_faces += [DroppedFace(row.id, row.model, row.has_thumbnail or row.has_photograph) for row in rows]


def insert_faces(
    changes: Changes,
    person_id: str | None,
    new: Mapping[str, NewFace],
    everywhere: Sequence[Collection],
    lifetime: dt.timedelta | None = None,
) -> None:
    """Insert new faces, by their future ids, as members of these collections; ``person_id`` is internal."""
    now = dt.datetime.now(dt.UTC)
    expires = None if lifetime is None else now + lifetime
    for position, (face_id, face) in enumerate(new.items()):
        columns = columns_of(changes.tenant, person_id, face_id, face, position, now, expires)
        changes.insert_faces.append(columns)
        changes.attach[face.model] += [IndexRow(RowKey(c.id, face_id), face.template) for c in everywhere]
    changes.templates = {face_id: face.further for face_id, face in new.items() if face.further}


def columns_of(
    tenant: str,
    person_id: str | None,
    face_id: str,
    face: NewFace,
    position: int,
    now: dt.datetime,
    expires: dt.datetime | None,
) -> dict[str, Any]:
    """The columns of a new face; ``person_id`` is internal, None for an unassigned face."""
    same = ("image_id", "model", "quality", "detection_score", "liveness")
    return {
        "id": face_id,
        "tenant_id": tenant,
        "person_id": person_id,
        "position": position,
        **{name: getattr(face, name) for name in same},
        **{f"box_{name}": getattr(face.box, name) for name in ("x", "y", "width", "height")},
        "template": faces.to_bytes(face.template),
        "storage": str(face.storage),
        "has_thumbnail": face.thumbnail is not None,
        "has_photograph": face.photograph is not None,
        "user_id": "",
        "created": now,
        "expires": expires,
        "appearance": None if face.appearance is None else asdict(face.appearance),
    }


def find_person(connection: sa.Connection, tenant: str, person_id: str, must_be_new: bool) -> sa.Row[Any] | None:
    """The person's row, locked; None if there is none. Raises PersonExists if the person must be new."""
    row = persons.find(connection, tenant, person_id, lock=True)
    if row is not None and must_be_new:
        raise PersonExists(f"There is already a person with the id {checks.quoted(person_id)}.", person_id=person_id)
    return row


def write_person(
    changes: Changes, internal_id: str, person_id: str, fields: PersonFields, present: sa.Row[Any] | None
) -> None:
    """Insert the person with these fields, or change the one whose row is ``present``."""
    now = dt.datetime.now(dt.UTC)
    columns = {"id": internal_id, "modified": now, **persons.values(person_id, fields, present)}
    if present is None:
        changes.insert_persons = [{**columns, "tenant_id": changes.tenant, "external_id": person_id, "created": now}]
    else:
        changes.update_person = columns


def enrolment(internal_id: str, created: bool, new: Container[str]) -> Callable[[sa.Connection], Enrolment]:
    """Read the result of an enrolment; ``new`` are the ids of the added faces."""

    def result(connection: sa.Connection) -> Enrolment:
        person = persons.load(connection, [internal_id])[internal_id]
        return Enrolment(person, created, tuple(face for face in person.faces if face.id in new))

    return result
