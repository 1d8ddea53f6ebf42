"""Parts of plans that add or erase faces."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from serve_app.domain import NewFace
from serve_app.errors import FaceIdNotFound
from serve_app.gallery import checks
from serve_app.gallery.sql.records import faces
from serve_app.gallery.sql.records.changes import Changes, DroppedFace
from serve_app.gallery.sql.records.secondary_templates import SecondaryTemplates


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


def secondary_templates_of(new: Mapping[str, NewFace]) -> SecondaryTemplates:
    """The secondary templates of new faces."""
    return {face_id: face.further for face_id, face in new.items() if face.further}


def columns_of(
    tenant: str, person_id: str | None, face_id: str, face: NewFace, position: int, now: dt.datetime
) -> dict[str, Any]:
    """The columns of a new face; ``person_id`` is internal, None for an unassigned face."""
    return {
        "id": face_id,
        "tenant_id": tenant,
        "person_id": person_id,
        "position": position,
        "image_id": face.image_id,
        "model": face.model,
        "template": faces.to_bytes(face.template),
        "box_x": face.box.x,
        "box_y": face.box.y,
        "box_width": face.box.width,
        "box_height": face.box.height,
        "quality": face.quality,
        "detection_score": face.detection_score,
        "liveness": face.liveness,
        "storage": str(face.storage),
        "has_thumbnail": face.thumbnail is not None,
        "has_photograph": face.photograph is not None,
        "user_id": "",
        "created": now,
        "expires": None,
        "appearance": faces.to_json(face.appearance),
    }
