"""Sealing everything anew with the first key: after a new key, or after the first one."""

from __future__ import annotations

import sqlalchemy as sa

from serve_app.gallery.blobs import KINDS, BlobStore
from serve_app.gallery.sql.database import Database
from serve_app.gallery.sql.schema import face_templates, faces, index_place, installation

AT_ONCE = 100


def reencrypt(database: Database, blobs: BlobStore) -> int:
    """Read and write every secret, template and image; the number of faces. May be interrupted and run again."""

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
                for kind in KINDS:  # while the row is locked, so that nobody erases the face meanwhile
                    content = blobs.read(row.tenant_id, row.id, kind)
                    if content is not None:
                        blobs.write(row.tenant_id, row.id, kind, content)
            further = sa.select(face_templates).where(face_templates.c.face_id.in_([row.id for row in rows]))
            for row in connection.execute(further).all():
                mine = (face_templates.c.face_id == row.face_id, face_templates.c.model == row.model)
                connection.execute(face_templates.update().where(*mine).values(template=row.template))
            return [row.id for row in rows]

        ids = database.transact(batch)
        if not ids:
            return done
        done, after = done + len(ids), ids[-1]
