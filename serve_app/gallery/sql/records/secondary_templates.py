"""Statements about secondary templates.

A face's first template is in its row in ``faces``. While the gallery changes from one embedder to another, a face has a
secondary template by the other embedder, in ``face_templates``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from serve_app.gallery.index.base import IndexRow, RowKey
from serve_app.gallery.sql.records.faces import to_vector
from serve_app.gallery.sql.records.statements import delete_in, rows_in
from serve_app.gallery.sql.schema import face_templates, faces

SecondaryTemplates = Mapping[str, Mapping[str, NDArray[np.float32]]]
"""Face id -> model id -> template."""


def of_face(connection: sa.Connection, face_id: str, model: str) -> NDArray[np.float32] | None:
    """A face's secondary template by this model, None if there is none."""
    query = sa.select(face_templates.c.template).where(
        face_templates.c.face_id == face_id, face_templates.c.model == model
    )
    stored = connection.execute(query).scalar()
    return None if stored is None else to_vector(stored)


def models_of(connection: sa.Connection, face_ids: Iterable[str]) -> dict[str, list[str]]:
    """Face id -> models of its secondary templates."""
    found: dict[str, list[str]] = defaultdict(list)
    query = sa.select(face_templates.c.face_id, face_templates.c.model)
    for row in rows_in(connection, query, face_templates.c.face_id, face_ids):
        found[row.face_id].append(row.model)
    return found


def index_rows(connection: sa.Connection, keys: Sequence[RowKey]) -> dict[str, list[IndexRow]]:
    """Model -> the rows with secondary templates by it that the index must have for these memberships."""
    memberships: dict[str, list[RowKey]] = defaultdict(list)
    for key in keys:
        memberships[key.face_id].append(key)
    found: dict[str, list[IndexRow]] = defaultdict(list)
    for row in rows_in(connection, sa.select(face_templates), face_templates.c.face_id, memberships):
        vector = to_vector(row.template)
        found[row.model] += [IndexRow(key, vector) for key in memberships[row.face_id]]
    return found


def promote(connection: sa.Connection, model: str, limit: int) -> int:
    """Make the secondary template by this model the first one, for up to ``limit`` faces; the number of faces.

    The former first template is overwritten.
    """
    chosen = (
        sa.select(faces.c.id, face_templates.c.template)
        .join(face_templates, face_templates.c.face_id == faces.c.id)
        .where(face_templates.c.model == model)
        .order_by(faces.c.id)
        .limit(limit)
        .with_for_update(of=faces, skip_locked=True)
    )
    rows = connection.execute(chosen).all()
    if rows:
        connection.execute(
            faces.update()
            .where(faces.c.id == sa.bindparam("face_id"))
            .values(model=model, template=sa.bindparam("new")),
            [{"face_id": row.id, "new": row.template} for row in rows],
        )
        delete_in(connection, face_templates, "face_id", [row.id for row in rows], face_templates.c.model == model)
    return len(rows)


def exist(connection: sa.Connection) -> bool:
    """Whether any face has a secondary template."""
    return connection.execute(sa.select(face_templates.c.face_id).limit(1)).first() is not None


def discard(connection: sa.Connection, kept: str, limit: int) -> int:
    """Erase secondary templates by other models than ``kept`` from up to ``limit`` faces; the number of faces."""
    unwanted = face_templates.c.model != kept
    chosen = (
        sa.select(faces.c.id)
        .where(faces.c.id.in_(sa.select(face_templates.c.face_id).where(unwanted).limit(limit)))
        .order_by(faces.c.id)
        .with_for_update()
    )
    face_ids = list(connection.execute(chosen).scalars())
    delete_in(connection, face_templates, "face_id", face_ids, unwanted)
    return len(face_ids)
