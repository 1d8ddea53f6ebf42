"""Reading the stored images of faces. Part of ``Gallery``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import sqlalchemy as sa

from serve_app.errors import ImageNotStored, InvalidRequest
from serve_app.gallery import checks
from serve_app.gallery.blobs import BlobStore
from serve_app.gallery.privacy.audit_log import AuditQueue
from serve_app.gallery.sql.database import Database
from serve_app.gallery.sql.records import faces
from serve_app.gallery.sql.records.audit_chain import Draft
from serve_app.gallery.writes.plans import unknown_face

Kind = Literal["thumbnail", "photograph"]


class Images:
    """What enrolment kept. Whoever looks at it is in the audit log, as whoever searches is: queued, not waited for."""

    _database: Database
    _blobs: BlobStore
    _audit: AuditQueue

    def face_image(self, tenant: str, face_id: str, kind: Kind) -> bytes:
        """One of them."""
        _check_kind(kind)
        with self._database.read() as connection:
            row = faces.find(connection, tenant, face_id)
        if row is None:
            raise unknown_face(face_id)
        content = self._read(tenant, row, kind)
        if content is None:
            raise ImageNotStored(f"No {kind} of the face {face_id} is stored.", face_id=face_id, kind=kind)
        self._note(tenant, [row], kind)
        return content

    def face_images(self, tenant: str, face_ids: Sequence[str], kind: Kind) -> tuple[bytes | None, ...]:
        """At most 1,000 at once."""
        _check_kind(kind)
        if len(face_ids) > checks.MAX_PAGE:
            raise InvalidRequest(f"At most {checks.MAX_PAGE} images are read at once, got {len(face_ids)}.")
        with self._database.read() as connection:
            rows = faces.of_ids(connection, {face_id for face_id in face_ids if checks.is_id(face_id)})
        stored = {row.id: row for row in rows if row.tenant_id == tenant}
        found = {id_: self._read(tenant, row, kind) for id_, row in stored.items()}
        self._note(tenant, [row for id_, row in stored.items() if found[id_] is not None], kind)
        return tuple(found.get(id_) for id_ in face_ids)

    def _read(self, tenant: str, row: sa.Row[Any], kind: Kind) -> bytes | None:
        return self._blobs.read(tenant, row.id, kind) if getattr(row, f"has_{kind}") else None

    def _note(self, tenant: str, rows: Sequence[sa.Row[Any]], kind: Kind) -> None:
        if rows:
            people: Iterable[str] = {row.person_id for row in rows if row.person_id is not None}
            self._audit.put(tenant, Draft("read_images", sorted(people), details={"images": len(rows), "kind": kind}))


def _check_kind(kind: str) -> None:
    if kind not in ("thumbnail", "photograph"):
        raise InvalidRequest(f"kind must be thumbnail or photograph, got {checks.shown(kind)}.")
