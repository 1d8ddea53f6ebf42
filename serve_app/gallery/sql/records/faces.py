"""Statements about faces and their memberships in collections."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from serve_app.domain import Appearance, Box, Face, ImageStorage
from serve_app.errors import StoreUnavailable
from serve_app.gallery.checks import are_templates, is_id
from serve_app.gallery.index.base import IndexRow, RowKey
from serve_app.gallery.sql.records.statements import BATCH, IDS, batches, containing, count, to_choice, to_value
from serve_app.gallery.sql.schema import face_collections, face_templates, faces, persons

log = logging.getLogger(__name__)

_WITHOUT_TEMPLATE: list[sa.ColumnElement[Any]] = [column for column in faces.c if column.name != "template"]
TEMPLATE_TYPE = np.dtype("<f4")
_WITH_PERSON: sa.Select[Any] = sa.select(*_WITHOUT_TEMPLATE, persons.c.external_id).select_from(
    faces.outerjoin(persons)
)
_BY_ID = _WITH_PERSON.where(faces.c.id.in_(IDS))
_AGE = (faces.c.created, faces.c.position, faces.c.id)
_BY_PERSON = sa.select(*_WITHOUT_TEMPLATE).where(faces.c.person_id.in_(IDS)).order_by(*_AGE)
_BY_PERSON_WITH_TEMPLATE = _BY_PERSON.add_columns(faces.c.template)
_MEMBERSHIPS = sa.select(face_collections.c.collection_id, face_collections.c.face_id).where(
    face_collections.c.face_id.in_(IDS)
)
_MODEL: sa.BindParameter[Any] = sa.bindparam("model")
_SECONDARY = sa.and_(face_templates.c.face_id == faces.c.id, face_templates.c.model == _MODEL)
_TEMPLATE = sa.case((faces.c.model == _MODEL, faces.c.template), else_=face_templates.c.template).label("template")
_TEMPLATES = (
    _MEMBERSHIPS.add_columns(_TEMPLATE)
    .join(faces, faces.c.id == face_collections.c.face_id)
    .outerjoin(face_templates, _SECONDARY)
    .where(_TEMPLATE.is_not(None))
)
_OWNERS = _TEMPLATES.add_columns(faces.c.person_id)


class Owner(NamedTuple):
    """What the records say of an index row.

    Attributes:
        person_id: internal id of the face's person, None if it is unassigned.
        template: as it is stored; see :func:`to_vector`.
    """

    person_id: str | None
    template: bytes


def find(connection: sa.Connection, tenant: str, face_id: str, template: bool = False) -> sa.Row[Any] | None:
    """A face's row with its person's ``external_id``, None if it does not exist or has expired.

    ``template`` includes the column of that name.
    """
    if not is_id(face_id):
        return None
    query = _WITH_PERSON.add_columns(faces.c.template) if template else _WITH_PERSON
    chosen = query.where(faces.c.id == face_id, faces.c.tenant_id == tenant, _not_expired())
    return connection.execute(chosen).first()


def _not_expired() -> sa.ColumnElement[bool]:
    """The condition that a face exists for callers: an expired face counts as erased before its erasure."""
    return sa.or_(faces.c.expires.is_(None), faces.c.expires > dt.datetime.now(dt.UTC))


def of_ids(connection: sa.Connection, ids: Iterable[str]) -> list[sa.Row[Any]]:
    """The rows of those faces that exist, with their persons' ``external_id``, in no order."""
    return _rows(connection, _BY_ID, ids)


def of_persons(connection: sa.Connection, person_ids: Iterable[str], template: bool = False) -> list[sa.Row[Any]]:
    """The rows of all faces of these persons (internal ids), oldest first; ``template`` includes that column."""
    return _rows(connection, _BY_PERSON_WITH_TEMPLATE if template else _BY_PERSON, person_ids)


def slice_of(
    connection: sa.Connection, collection_id: str, q: str, limit: int, offset: int
) -> tuple[list[sa.Row[Any]], int]:
    """A slice of a collection's faces, oldest first, with their persons' ``external_id``; and the total number."""
    query = _WITH_PERSON.join(face_collections, face_collections.c.face_id == faces.c.id).where(
        face_collections.c.collection_id == collection_id, *containing(persons.c.search_text, q)
    )
    rows = connection.execute(query.order_by(*_AGE).limit(limit).offset(offset))
    return list(rows), count(connection, query)


def of_collection_without_person(connection: sa.Connection, collection_id: str) -> list[sa.Row[Any]]:
    """The rows of a collection's unassigned faces."""
    query = (
        sa.select(*_WITHOUT_TEMPLATE)
        .join(face_collections, face_collections.c.face_id == faces.c.id)
        .where(face_collections.c.collection_id == collection_id, faces.c.person_id.is_(None))
    )
    return list(connection.execute(query))


def templates(connection: sa.Connection, person_id: str, model: str) -> dict[str, NDArray[np.float32]]:
    """Face id -> template by this model, of a person's faces."""
    by_model = sa.select(faces.c.id, _TEMPLATE).select_from(faces.outerjoin(face_templates, _SECONDARY))
    query = by_model.where(faces.c.person_id == person_id, _TEMPLATE.is_not(None))
    rows = connection.execute(query, {"model": model})
    return {row.id: vector for row in rows if (vector := _sound(row.id, row.template)) is not None}


def owners(connection: sa.Connection, model: str, keys: Iterable[RowKey]) -> dict[RowKey, Owner]:
    """What the records say of those of a model's rows that they know."""
    wanted = set(keys)
    rows = _rows(connection, _OWNERS, {key.face_id for key in wanted}, model=model)
    return {
        key: Owner(row.person_id, row.template)
        for row in rows
        if (key := RowKey(row.collection_id, row.face_id)) in wanted
    }


def memberships(connection: sa.Connection, face_ids: Iterable[str]) -> list[RowKey]:
    """All memberships of these faces, in no order."""
    return [RowKey(row.collection_id, row.face_id) for row in _rows(connection, _MEMBERSHIPS, face_ids)]


def lock(connection: sa.Connection, face_ids: Iterable[str]) -> None:
    """Lock faces until the transaction ends. Every transaction that changes index rows locks their faces first."""
    if connection.dialect.name == "sqlite":
        return  # SQLite has one writer at a time
    query = sa.select(faces.c.id).order_by(faces.c.id).with_for_update()
    for batch in batches(sorted(face_ids)):
        connection.execute(query.where(faces.c.id.in_(batch))).all()


def index_rows(
    connection: sa.Connection, model: str, keys: Iterable[RowKey], size: int | None = None
) -> list[IndexRow]:
    """The index rows, with templates by this model, for those of the keys that are memberships in the records.

    Faces whose stored template is damaged, or has not this ``size``, have no row.
    """
    wanted = set(keys)
    rows = _rows(connection, _TEMPLATES, {key.face_id for key in wanted}, model=model)
    return [
        IndexRow(key, vector)
        for row in rows
        if (key := RowKey(row.collection_id, row.face_id)) in wanted
        and (vector := _sound(row.face_id, row.template, size)) is not None
    ]


def models(connection: sa.Connection) -> list[str]:
    """Ids of all embedders that made a template of any face, sorted."""
    both = sa.union(sa.select(faces.c.model), sa.select(face_templates.c.model))
    return sorted(connection.execute(both).scalars())


def embedded_by(model: str) -> sa.ColumnElement[bool]:
    """The condition that a face has a template by this model, as its first or as a secondary one."""
    return sa.or_(faces.c.model == model, _has_secondary(model))


def not_embedded_by(model: str) -> sa.ColumnElement[bool]:
    """The opposite of :func:`embedded_by`.

    In a form that lets the database's index on the model find quickly that there is no such face.
    """
    return sa.and_(sa.or_(faces.c.model < model, faces.c.model > model), ~_has_secondary(model))


def _has_secondary(model: str) -> sa.ColumnElement[bool]:
    return (
        sa.select(face_templates.c.face_id)
        .where(face_templates.c.face_id == faces.c.id, face_templates.c.model == model)
        .exists()
    )


def count_memberships(connection: sa.Connection, model: str) -> int:
    """Number of rows that the index must have for this model."""
    return count(connection, _memberships_of(model))


def all_memberships(connection: sa.Connection, model: str) -> Iterator[RowKey]:
    """All rows that the index must have for this model, ordered by collection and face."""
    after: RowKey | None = None
    while rows := memberships_after(connection, model, after, 10 * BATCH):
        yield from rows
        after = rows[-1]


def memberships_after(connection: sa.Connection, model: str, after: RowKey | None, limit: int) -> list[RowKey]:
    """Up to ``limit`` rows that the index must have for this model, after a row, ordered by collection and face."""
    query = _memberships_of(model)
    if after is not None:
        membership = sa.tuple_(face_collections.c.collection_id, face_collections.c.face_id)
        query = query.where(membership > sa.tuple_(*(sa.literal(part) for part in after)))
    return [RowKey(*row) for row in connection.execute(query.limit(limit))]


def sample(connection: sa.Connection, model: str, most_each: int, most: int) -> list[RowKey]:
    """Random rows that the index must have for this model: up to ``most_each`` of a collection, up to ``most`` in all.

    Small collections are complete before large ones have more.
    """
    rank = sa.func.row_number().over(partition_by=face_collections.c.collection_id, order_by=sa.func.random())
    ranked = _memberships_of(model).order_by(None).add_columns(rank.label("rank")).subquery()
    chosen = sa.select(ranked.c.collection_id, ranked.c.face_id).where(ranked.c.rank <= most_each)
    return [RowKey(*row) for row in connection.execute(chosen.order_by(ranked.c.rank).limit(most))]


def dimension(connection: sa.Connection, model: str) -> int | None:
    """Dimension of the templates by this model: that of the first one that is not damaged; None without any."""
    by_model = sa.select(faces.c.id, _TEMPLATE).select_from(faces.outerjoin(face_templates, _SECONDARY))
    rows = connection.execute(by_model.where(_TEMPLATE.is_not(None)).limit(10), {"model": model})
    return next((vector.size for row in rows if (vector := _sound(row.id, row.template)) is not None), None)


def _memberships_of(model: str) -> sa.Select[Any]:
    return (
        sa.select(face_collections.c.collection_id, face_collections.c.face_id)
        .join(faces, faces.c.id == face_collections.c.face_id)
        .where(embedded_by(model))
        .order_by(face_collections.c.collection_id, face_collections.c.face_id)
    )


def to_face(row: Any, external_id: str | None) -> Face:
    """A row of the table as a domain value; ``external_id`` is the person's."""
    return to_value(
        Face,
        row,
        person_id=external_id,
        box=Box(row.box_x, row.box_y, row.box_width, row.box_height),
        storage=to_choice(ImageStorage, row.storage, "faces.storage"),
        appearance=_to_appearance(row.appearance),
    )


def _to_appearance(stored: dict[str, Any] | None) -> Appearance | None:
    if stored is None:
        return None
    landmarks = tuple((float(x), float(y)) for x, y in stored["landmarks"])
    return Appearance(**{**stored, "landmarks": landmarks})


def to_bytes(vector: NDArray[np.float32]) -> bytes:
    """A template as it is stored: little-endian float32."""
    return np.ascontiguousarray(vector, dtype=TEMPLATE_TYPE).tobytes()


def to_vector(stored: bytes) -> NDArray[np.float32]:
    """The inverse of :func:`to_bytes`. Raises StoreUnavailable: it is no template, which is finite and of norm 1."""
    if len(stored) % TEMPLATE_TYPE.itemsize == 0:
        vector = np.frombuffer(stored, dtype=TEMPLATE_TYPE).astype(np.float32, copy=False)
        if are_templates(vector):
            return vector
    raise StoreUnavailable("A stored template is damaged.")


def _sound(face_id: str, stored: bytes, size: int | None = None) -> NDArray[np.float32] | None:
    """The template; None, and a line in the log, if it is damaged or has not this size."""
    with suppress(StoreUnavailable):
        vector = to_vector(stored)
        if size in (None, vector.size):
            return vector
    log.error("the stored template of the face %s is damaged: no search finds this face", face_id)
    return None


def _rows(
    connection: sa.Connection, statement: sa.Select[Any], ids: Iterable[str], **parameters: str
) -> list[sa.Row[Any]]:
    rows: list[sa.Row[Any]] = []
    for batch in batches(ids):
        rows += connection.execute(statement, {"ids": batch, **parameters})
    return rows
