"""Plans that add, attach, detach and expire unassigned faces."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from serve_app.domain import Face, NewFace, UnassignedFacesChange
from serve_app.gallery.index.base import IndexRow, RowKey
from serve_app.gallery.sql.records import collections, faces, unassigned_faces
from serve_app.gallery.sql.records.changes import Changes
from serve_app.gallery.writes.plan_parts import drop, insert_faces
from serve_app.gallery.writes.policies import check_policies
from serve_app.gallery.writes.writer import Planned

EXPIRED_AT_ONCE = 500
"""Faces that one transaction erases."""


def add_faces(
    connection: sa.Connection, tenant: str, new: Mapping[str, NewFace], lifetime: dt.timedelta
) -> Planned[tuple[Face, ...]]:
    """See ``UnassignedFaces.add_faces``; ``new`` has the faces by their future ids."""
    changes = Changes(tenant, "add_faces")
    insert_faces(changes, None, new, [], lifetime)

    def result(connection: sa.Connection) -> tuple[Face, ...]:
        found = {row.id: faces.to_face(row, None) for row in faces.of_ids(connection, new)}
        return tuple(found[face_id] for face_id in new)

    return changes, result


def attach_faces(
    connection: sa.Connection, tenant: str, name: str, face_ids: Sequence[str], limit: int | None
) -> Planned[UnassignedFacesChange]:
    """See ``UnassignedFaces.attach_faces``."""
    # With a limit, the collection is locked until the new count is written, so that no other writer exceeds it.
    collection = collections.get(connection, tenant, name, "share" if limit is None else "update")
    wanted = list(dict.fromkeys(face_ids))
    found = unassigned_faces.take(connection, tenant, wanted)
    members = {key.face_id for key in faces.memberships(connection, found) if key.collection_id == collection.id}
    joining = [face_id for face_id in wanted if face_id in found and face_id not in members]
    free = len(joining) if limit is None else max(0, limit - collection.face_count)
    joining, refused = joining[:free], joining[free:]
    check_policies({}, [], [found[face_id] for face_id in joining], [collection])
    changes = Changes(tenant, "attach_faces", expire=dict.fromkeys(joining))
    for face_id in joining:
        row = IndexRow(RowKey(collection.id, face_id), faces.to_vector(found[face_id].template))
        changes.attach[found[face_id].model].append(row)
    unknown = tuple(face_id for face_id in wanted if face_id not in found)

    def result(connection: sa.Connection) -> UnassignedFacesChange:
        after = collections.get(connection, tenant, name)
        return UnassignedFacesChange(after, tuple(joining), unknown, tuple(refused))

    return changes, result


def detach_faces(
    connection: sa.Connection, tenant: str, name: str, face_ids: Sequence[str] | None, lifetime: dt.timedelta
) -> Planned[UnassignedFacesChange]:
    """See ``UnassignedFaces.detach_faces``."""
    collection = collections.get(connection, tenant, name, "share")
    if face_ids is None:
        face_ids = [row.id for row in faces.of_collection_without_person(connection, collection.id)]
    wanted = list(dict.fromkeys(face_ids))
    found = unassigned_faces.take(connection, tenant, wanted)
    memberships = faces.memberships(connection, found)
    members = {key.face_id for key in memberships if key.collection_id == collection.id}
    elsewhere = {key.face_id for key in memberships if key.collection_id != collection.id}
    leaving = [face_id for face_id in wanted if face_id in members]
    expires = dt.datetime.now(dt.UTC) + lifetime
    expiring: dict[str, dt.datetime | None] = {face_id: expires for face_id in leaving if face_id not in elsewhere}
    changes = Changes(tenant, "detach_faces", expire=expiring)
    for face_id in leaving:
        changes.detach[found[face_id].model].append(RowKey(collection.id, face_id))
    unknown = tuple(face_id for face_id in wanted if face_id not in members)

    def result(connection: sa.Connection) -> UnassignedFacesChange:
        return UnassignedFacesChange(collections.get(connection, tenant, name), tuple(leaving), unknown)

    return changes, result


def expire_faces(connection: sa.Connection, tenant: str, now: dt.datetime) -> Planned[int]:
    """Erase up to :data:`EXPIRED_AT_ONCE` expired faces of a tenant; the number erased."""
    rows = unassigned_faces.due(connection, now, tenant, EXPIRED_AT_ONCE)
    changes = Changes(tenant, "expire_faces")
    drop(connection, changes, rows)
    return changes, lambda _: len(rows)
