"""Statements about pairs of persons who may be one, and the faces that are compared to find them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import sqlalchemy as sa

from serve_app.domain import Vectors
from serve_app.errors import InvalidRequest
from serve_app.gallery.checks import check_limit, decode_cursor, encode_cursor
from serve_app.gallery.sql.records.faces import batches, to_vector
from serve_app.gallery.sql.records.upserts import insertion
from serve_app.gallery.sql.schema import distinct_persons, duplicate_pairs, face_collections, faces

DISTINCT = sa.exists().where(
    distinct_persons.c.first_id == duplicate_pairs.c.first_id,
    distinct_persons.c.second_id == duplicate_pairs.c.second_id,
)
"""Whether the two of a found pair are known to be different people."""


class Block(NamedTuple):
    """Some of a collection's faces, by id: their ids, whom each stands for, and their templates (n, dimension)."""

    ids: list[str]
    owners: list[str]
    templates: Vectors


class Pair(NamedTuple):
    """Whom two faces stand for (internal ids of persons, or of faces that have none), in order."""

    first: str
    second: str


class Likeness(NamedTuple):
    """The two faces of a pair that are most alike."""

    first_face: str
    second_face: str
    cosine: float


def block(connection: sa.Connection, collection_id: str, model: str, after: str, size: int) -> Block:
    """The next faces of the collection, embedded by a model, in the order of their ids."""
    query = (
        sa.select(faces.c.id, faces.c.person_id, faces.c.template)
        .join(face_collections, face_collections.c.face_id == faces.c.id)
        .where(
            face_collections.c.collection_id == collection_id,
            face_collections.c.face_id > after,
            faces.c.model == model,
        )
        .order_by(face_collections.c.face_id)
        .limit(size)
    )
    rows = connection.execute(query).all()
    templates = np.stack([to_vector(row.template) for row in rows]) if rows else np.empty((0, 0), np.float32)
    return Block([row.id for row in rows], [row.person_id or row.id for row in rows], templates)


def count(connection: sa.Connection, collection_id: str, model: str) -> int:
    """How many faces :func:`block` gives altogether."""
    query = (
        sa.select(sa.func.count())
        .select_from(faces.join(face_collections, face_collections.c.face_id == faces.c.id))
        .where(face_collections.c.collection_id == collection_id, faces.c.model == model)
    )
    return int(connection.execute(query).scalar_one())


def put(connection: sa.Connection, task_id: str, found: Mapping[Pair, Likeness]) -> None:
    """Add pairs; of one that is there already the better likeness stays."""
    insert = insertion(connection, duplicate_pairs)
    better = {name: insert.excluded[name] for name in ("first_face", "second_face", "cosine")}
    statement = insert.on_conflict_do_update(
        index_elements=["task_id", "first_id", "second_id"],
        set_=better,
        where=insert.excluded.cosine > duplicate_pairs.c.cosine,
    )
    rows = [
        {"task_id": task_id, "first_id": pair.first, "second_id": pair.second, **likeness._asdict()}
        for pair, likeness in found.items()
    ]
    for batch in batches(rows):
        connection.execute(statement, list(batch))


def number(connection: sa.Connection, task_id: str) -> int:
    """How many pairs a task has found, without those who are known to be different people."""
    query = sa.select(sa.func.count()).where(duplicate_pairs.c.task_id == task_id, ~DISTINCT)
    return int(connection.execute(query).scalar_one())


def page(
    connection: sa.Connection, task_id: str, limit: int, cursor: str | None, with_distinct: bool
) -> tuple[list[sa.Row[Any]], str | None]:
    """A task's pairs, most alike first, and the cursor of the page that follows; a row has ``distinct``."""
    table = duplicate_pairs
    query = sa.select(table, DISTINCT.label("distinct")).where(table.c.task_id == task_id)
    if not with_distinct:
        query = query.where(~DISTINCT)
    if (after := decode_cursor(cursor)) is not None:
        cosine, first, second = _place(after)
        pair = sa.tuple_(table.c.first_id, table.c.second_id)
        behind = sa.and_(table.c.cosine == cosine, pair > sa.tuple_(sa.literal(first), sa.literal(second)))
        query = query.where(sa.or_(table.c.cosine < cosine, behind))
    ordered = query.order_by(table.c.cosine.desc(), table.c.first_id, table.c.second_id)
    rows = list(connection.execute(ordered.limit(check_limit(limit) + 1)))
    if len(rows) <= limit:
        return rows, None
    last = rows[limit - 1]
    return rows[:limit], encode_cursor(f"{last.cosine!r} {last.first_id} {last.second_id}")


def _place(after: str) -> tuple[float, str, str]:
    try:
        cosine, first, second = after.split(" ")
        return float(cosine), first, second
    except ValueError:
        raise InvalidRequest("cursor must be one that the page before returned.") from None
