"""Re-encryption of everything stored with the first key, after a key was added or changed."""

from __future__ import annotations

import sqlalchemy as sa

from serve_app.gallery.blobs import KINDS, BlobStore
from serve_app.gallery.sql.database import Database
from serve_app.gallery.sql.schema import face_templates, faces, index_place, installation

AT_ONCE = 100
"""Faces of one transaction."""


def reencrypt(database: Database, blobs: BlobStore) -> int:
    """Read and write again every secret, template and image; the number of faces. Can be interrupted and run again."""

    def secrets(connection: sa.Connection) -> None:
        private = connection.execute(sa.select(installation.c.signing_key)).scalar_one()
        connection.execute(installation.update().values(signing_key=private))
        tokens = connection.execute(sa.select(index_place.c.token, index_place.c.other_token)).one()
        connection.execute(index_place.update().values(**tokens._asdict()))

    database.transact(secrets)
    done, after = 0, ""
    while True:

        def batch(connection: sa.Connection, after: str = after) -> list[str]:
            query = sa.select(faces.c.id, faces.c.tenant_id, faces.c.template).where(faces.c.id > after)
            rows = connection.execute(query.order_by(faces.c.id).limit(AT_ONCE).with_for_update()).all()
            for row in rows:
                connection.execute(faces.update().where(faces.c.id == row.id).values(template=row.template))
                for kind in KINDS:  # while the row is locked, so that the face is not erased at the same time
                    content = blobs.read(row.tenant_id, row.id, kind)
                    if content is not None:
                        blobs.write(row.tenant_id, row.id, kind, content)
            secondary = sa.select(face_templates).where(face_templates.c.face_id.in_([row.id for row in rows]))
            for row in connection.execute(secondary).all():
                this = (face_templates.c.face_id == row.face_id, face_templates.c.model == row.model)
                connection.execute(face_templates.update().where(*this).values(template=row.template))
            return [row.id for row in rows]

        ids = database.transact(batch)
        if not ids:
            return done
        done, after = done + len(ids), ids[-1]
