"""Unassigned faces (faces without a person). Part of ``Gallery``.

The index only has rows of faces in collections, so no search finds a face that is in no collection. Such a face expires
after ``matcher.unattached_face_ttl_h`` hours. A face in a collection does not expire.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from functools import partial

from serve_app.domain import Face, NewFace, UnassignedFacesChange
from serve_app.errors import InvalidRequest
from serve_app.gallery import checks
from serve_app.gallery.sql.records import faces, unassigned_faces
from serve_app.gallery.writes import unassigned_plans
from serve_app.gallery.writes.plan_parts import face_not_found
from serve_app.gallery.writes.writer import Stores

DEFAULT_LIFETIME = dt.timedelta(hours=72)
"""Lifetime of a face in no collection."""

MAX_UNASSIGNED_FACES_PER_REQUEST = 1000
MAX_USER_ID = checks.LONGEST_USER_ID


class UnassignedFaces(Stores):
    """Implements :class:`~serve_app.contracts.unassigned_faces.UnassignedFaces`, synchronously. Part of ``Gallery``."""

    _lifetime: dt.timedelta

    def add_faces(self, tenant: str, faces: Sequence[NewFace]) -> tuple[Face, ...]:
        _check_count(faces)
        for face in faces:
            checks.check_new_face(face)
        new = {uuid.uuid4().hex: face for face in faces}
        if not new:
            return ()
        return self._writer.run(lambda c: unassigned_plans.add_faces(c, tenant, new, self._lifetime), new)

    def attach_faces(
        self, tenant: str, collection: str, face_ids: Sequence[str], limit: int | None = None
    ) -> UnassignedFacesChange:
        _check_count(face_ids)
        return self._writer.run(lambda c: unassigned_plans.attach_faces(c, tenant, collection, face_ids, limit))

    def detach_faces(self, tenant: str, collection: str, face_ids: Sequence[str] | None) -> UnassignedFacesChange:
        _check_count(face_ids or ())
        return self._writer.run(
            lambda c: unassigned_plans.detach_faces(c, tenant, collection, face_ids, self._lifetime)
        )

    def set_user_id(self, tenant: str, face_id: str, user_id: str) -> Face:
        text = checks.check_text("user_id", user_id, MAX_USER_ID)
        with self._database.write() as connection:
            if face_id not in unassigned_faces.take(connection, tenant, [face_id]):
                raise face_not_found(face_id)
            unassigned_faces.set_user_id(connection, face_id, text)
            (row,) = faces.of_ids(connection, [face_id])
            return faces.to_face(row, None)

    def expire_faces(self, now: dt.datetime | None = None) -> int:
        """Erase expired faces with their images; the number erased. Part of maintenance."""
        now = now or dt.datetime.now(dt.UTC)
        with self._database.read() as connection:
            tenants = unassigned_faces.tenants_with_due(connection, now)
        erased = 0
        for tenant in tenants:
            while number := self._writer.run(partial(unassigned_plans.expire_faces, tenant=tenant, now=now)):
                erased += number
        return erased


def _check_count(given: Sequence[object]) -> None:
    if len(given) > MAX_UNASSIGNED_FACES_PER_REQUEST:
        raise InvalidRequest(
            f"At most {MAX_UNASSIGNED_FACES_PER_REQUEST} faces can be handled at once, got {len(given)}."
        )
