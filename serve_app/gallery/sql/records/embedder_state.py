"""Statements about the row that says which embedder is in use, and about faces that lack a template."""

from __future__ import annotations

from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from serve_app.domain import LeftBehind, Page
from serve_app.gallery.sql.records import secondary_templates
from serve_app.gallery.sql.records.faces import embedded_by, not_embedded_by, to_vector
from serve_app.gallery.sql.records.statements import by_code_point, page_of, rows_in
from serve_app.gallery.sql.schema import embedders, faces, persons

ROW = 1


def get(connection: sa.Connection, lock: bool = False) -> sa.Row[Any] | None:
    """The row, None before the gallery's first start; ``lock`` keeps other writers out until the transaction ends."""
    query = sa.select(embedders).where(embedders.c.id == ROW)
    return connection.execute(query.with_for_update() if lock else query).first()


def put(connection: sa.Connection, active: str) -> None:
    """Reset the row: this embedder is active, and no change is in progress."""
    connection.execute(embedders.delete())
    connection.execute(embedders.insert().values(id=ROW, active=active, leave_behind=False))


def by_use(connection: sa.Connection) -> list[str]:
    """Models of the faces' first templates, the most frequent one first."""
    query = sa.select(faces.c.model).group_by(faces.c.model).order_by(sa.func.count().desc(), faces.c.model)
    return list(connection.execute(query).scalars())


def update(connection: sa.Connection, **columns: Any) -> None:
    """Set columns of the row."""
    connection.execute(embedders.update().where(embedders.c.id == ROW).values(**columns))


def current_template(connection: sa.Connection, face: sa.Row[Any]) -> tuple[str, NDArray[np.float32]]:
    """The model and a face's template by it: the active model if it made one, else that of the first template.

    ``face`` is a row of ``faces`` with ``template``.
    """
    row = get(connection)
    newer = None if row is None else secondary_templates.of_face(connection, face.id, row.active)
    return (face.model, to_vector(face.template)) if row is None or newer is None else (row.active, newer)


def to_embed(connection: sa.Connection, model: str, after: str, limit: int) -> list[sa.Row[Any]]:
    """``id`` and ``tenant_id`` of the next faces after an id that have a stored crop and no template by this model."""
    query = (
        sa.select(faces.c.id, faces.c.tenant_id)
        .where(not_embedded_by(model), faces.c.has_thumbnail, faces.c.id > after)
        .order_by(faces.c.id)
    )
    return list(connection.execute(query.limit(limit)))


def lacking(connection: sa.Connection, model: str, face_ids: list[str]) -> dict[str, str]:
    """For those of the faces that exist and have no template by this model: face id -> tenant id."""
    query = sa.select(faces.c.id, faces.c.tenant_id).where(not_embedded_by(model))
    return {row.id: row.tenant_id for row in rows_in(connection, query, faces.c.id, face_ids)}


def complete(connection: sa.Connection, model: str) -> bool:
    """Whether every face has a template by this model."""
    return connection.execute(sa.select(faces.c.id).where(not_embedded_by(model)).limit(1)).first() is None


def counts(connection: sa.Connection, model: str, tenant: str | None) -> tuple[int, int, int]:
    """Numbers of faces: all, those with a template by this model, those with neither that nor a stored crop."""
    query = sa.select(
        sa.func.count(),
        sa.func.count(sa.case((embedded_by(model), 1))),
        sa.func.count(sa.case((sa.and_(not_embedded_by(model), ~faces.c.has_thumbnail), 1))),
    ).select_from(faces)
    if tenant is not None:
        query = query.where(faces.c.tenant_id == tenant)
    total, done, without = connection.execute(query).one()
    return int(total), int(done), int(without)


def left_behind(
    connection: sa.Connection, model: str, tenant: str, limit: int, cursor: str | None, all_lacking: bool
) -> Page[LeftBehind]:
    """A page of persons by id, then unassigned faces, with faces that have neither a template by this model nor a crop.

    ``all_lacking`` includes faces with a crop: after a complete pass, those are crops that could not be read.
    """
    without = not_embedded_by(model) if all_lacking else sa.and_(not_embedded_by(model), ~faces.c.has_thumbnail)
    # "p" sorts before "~": unassigned faces come last.
    name = sa.case(
        (persons.c.id.is_(None), sa.literal("~") + faces.c.id), else_=sa.literal("p") + persons.c.external_id
    )
    key = by_code_point(connection, name)
    query = sa.select(key.label("key")).select_from(faces.outerjoin(persons)).where(faces.c.tenant_id == tenant)
    chosen = query.where(without).distinct().subquery()
    rows, following = page_of(connection, sa.select(chosen.c.key), chosen.c.key, limit, cursor)
    found: dict[str, list[sa.Row[Any]]] = {row.key: [] for row in rows}
    details = query.add_columns(faces.c.id, persons.c.external_id, sa.case((without, 1), else_=0).label("lacks"))
    ordered = details.order_by(faces.c.created, faces.c.position, faces.c.id)
    for row in rows_in(connection, ordered, key, list(found)):
        found[row.key].append(row)
    items = (
        LeftBehind(each[0].external_id, tuple(row.id for row in each if row.lacks), sum(not row.lacks for row in each))
        for each in found.values()
    )
    return Page(tuple(items), following)
