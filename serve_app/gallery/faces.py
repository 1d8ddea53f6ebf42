"""Single faces and their stored images. Part of ``Gallery``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import sqlalchemy as sa

from serve_app.domain import Collection, Deletion, EnrolledFace, Face, Slice
from serve_app.errors import ImageNotStored, InvalidRequest
from serve_app.gallery import checks
from serve_app.gallery.privacy.audit_log import AuditQueue
from serve_app.gallery.sql.records import collections, faces, persons
from serve_app.gallery.sql.records.audit_chain import Draft
from serve_app.gallery.writes import deletion_plans
from serve_app.gallery.writes.plan_parts import face_not_found
from serve_app.gallery.writes.writer import Stores

Kind = Literal["thumbnail", "photograph"]


class Faces(Stores):
    """Implements :class:`~serve_app.contracts.faces.Faces`, synchronously. Part of ``Gallery``.

    Reading an image is recorded in the audit log as a search is: the entry is queued, and the caller does not wait.
    """

    _audit: AuditQueue

    def face(self, tenant: str, face_id: str) -> Face:
        row = self._row(tenant, face_id)
        return faces.to_face(row, row.external_id)

    def faces(
        self, tenant: str, collection: str, q: str = "", limit: int = 100, offset: int = 0
    ) -> Slice[EnrolledFace]:
        limit, offset = checks.check_limit(limit), checks.check_offset(offset)
        with self._database.read() as connection:
            within = collections.get(connection, tenant, collection)
            rows, total = faces.slice_of(connection, within.id, q, limit, offset)
            people = persons.load(connection, {row.person_id for row in rows if row.person_id is not None})
        found = (EnrolledFace(faces.to_face(row, row.external_id), people.get(row.person_id)) for row in rows)
        return Slice(tuple(found), total)

    def face_collections(self, tenant: str, face_id: str) -> tuple[Collection, ...]:
        self._row(tenant, face_id)
        with self._database.read() as connection:
            memberships = faces.memberships(connection, [face_id])
            found = collections.by_ids(connection, (key.collection_id for key in memberships))
        return tuple(c for c in found if not collections.is_hidden(c.name))

    def delete_face(
        self,
        tenant: str,
        face_id: str,
        person_id: str | None = None,
        collection: str | None = None,
        with_person: bool = False,
    ) -> Deletion:
        return self._writer.run(
            lambda c: deletion_plans.delete_face(c, tenant, face_id, person_id, collection, with_person)
        )

    def face_image(self, tenant: str, face_id: str, kind: Kind) -> bytes:
        _check_kind(kind)
        row = self._row(tenant, face_id)
        content = self._image(tenant, row, kind)
        if content is None:
            raise ImageNotStored(f"No {kind} of the face {face_id} is stored.", face_id=face_id, kind=kind)
        self._record_reading(tenant, [row], kind)
        return content

    def face_images(self, tenant: str, face_ids: Sequence[str], kind: Kind) -> tuple[bytes | None, ...]:
        _check_kind(kind)
        if len(face_ids) > checks.MAX_PAGE:
            raise InvalidRequest(f"At most {checks.MAX_PAGE} images can be read at once, got {len(face_ids)}.")
        with self._database.read() as connection:
            rows = faces.of_ids(connection, {face_id for face_id in face_ids if checks.is_id(face_id)})
        stored = {row.id: row for row in rows if row.tenant_id == tenant}
        found = {id_: self._image(tenant, row, kind) for id_, row in stored.items()}
        self._record_reading(tenant, [row for id_, row in stored.items() if found[id_] is not None], kind)
        return tuple(found.get(id_) for id_ in face_ids)

    def _row(self, tenant: str, face_id: str) -> sa.Row[Any]:
        with self._database.read() as connection:
            row = faces.find(connection, tenant, face_id)
        if row is None:
            raise face_not_found(face_id)
        return row

    def _image(self, tenant: str, row: sa.Row[Any], kind: Kind) -> bytes | None:
        return self._blobs.read(tenant, row.id, kind) if getattr(row, f"has_{kind}") else None

    def _record_reading(self, tenant: str, rows: Sequence[sa.Row[Any]], kind: Kind) -> None:
        if rows:
            subjects = sorted({row.person_id for row in rows if row.person_id is not None})
            self._audit.put(tenant, Draft("read_images", subjects, details={"images": len(rows), "kind": kind}))


def _check_kind(kind: str) -> None:
    if kind not in ("thumbnail", "photograph"):
        raise InvalidRequest(f"kind must be thumbnail or photograph, got {checks.quoted(kind)}.")
