"""Statements about possible duplicates (pairs of persons), and about the faces that are compared to find them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import sqlalchemy as sa

from serve_app.domain import Vectors
from serve_app.gallery.checks import decode_cursor
from serve_app.gallery.sql.records import statements
from serve_app.gallery.sql.records.faces import to_vector
from serve_app.gallery.sql.schema import distinct_persons, duplicate_pairs, face_collections, faces

DISTINCT = sa.exists().where(
    distinct_persons.c.first_id == duplicate_pairs.c.first_id,
    distinct_persons.c.second_id == duplicate_pairs.c.second_id,
)
"""The condition that a pair was marked as different people."""


class Block(NamedTuple):
    """Some of a collection's faces, ordered by id.

    Attributes:
        ids: of the faces.
        owners: for each face the internal id of its person; the face's own id if it is unassigned.
        templates: float32 (n, dimension).
    """

    ids: list[str]
    owners: list[str]
    templates: Vectors


class Pair(NamedTuple):
    """The owners of two faces, see :class:`Block`; the smaller id first."""

    first: str
    second: str


class Likeness(NamedTuple):
    """The two most similar faces of a pair, and their cosine."""

    first_face: str
    second_face: str
    cosine: float


def block(connection: sa.Connection, collection_id: str, model: str, after: str, size: int) -> Block:
    """Up to ``size`` faces of a collection whose first template is by ``model``, with ids after ``after``."""
    query = _comparable(collection_id, model).add_columns(faces.c.person_id, faces.c.template)
    following = query.where(face_collections.c.face_id > after).order_by(face_collections.c.face_id)
    rows = connection.execute(following.limit(size)).all()
    templates = np.stack([to_vector(row.template) for row in rows]) if rows else np.empty((0, 0), np.float32)
    return Block([row.id for row in rows], [row.person_id or row.id for row in rows], templates)


def count(connection: sa.Connection, collection_id: str, model: str) -> int:
    """Number of faces that :func:`block` returns in total."""
    return statements.count(connection, _comparable(collection_id, model))


def _comparable(collection_id: str, model: str) -> sa.Select[Any]:
    return (
        sa.select(faces.c.id)
        .join(face_collections, face_collections.c.face_id == faces.c.id)
        .where(face_collections.c.collection_id == collection_id, faces.c.model == model)
    )


def put(connection: sa.Connection, task_id: str, found: Mapping[Pair, Likeness]) -> None:
    """Store pairs; for a pair that is stored already, the higher cosine stays."""
    insert = statements.insertion(connection, duplicate_pairs)
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
    for batch in statements.batches(rows):
        connection.execute(statement, list(batch))


def number(connection: sa.Connection, task_id: str) -> int:
    """Number of pairs that a task has found, without those marked as different people."""
    query = sa.select(duplicate_pairs.c.first_id).where(duplicate_pairs.c.task_id == task_id, ~DISTINCT)
    return statements.count(connection, query)


def page(
    connection: sa.Connection, task_id: str, limit: int, cursor: str | None, with_distinct: bool
) -> tuple[list[sa.Row[Any]], str | None]:
    """A page of a task's pairs, highest cosine first, and the cursor of the next page; each row has ``distinct``."""
    table = duplicate_pairs
    query = sa.select(table, DISTINCT.label("distinct")).where(table.c.task_id == task_id)
    if not with_distinct:
        query = query.where(~DISTINCT)
    if (after := decode_cursor(cursor, _position)) is not None:
        cosine, first, second = after
        pair = sa.tuple_(table.c.first_id, table.c.second_id)
        behind = sa.and_(table.c.cosine == cosine, pair > sa.tuple_(sa.literal(first), sa.literal(second)))
        query = query.where(sa.or_(table.c.cosine < cosine, behind))
    ordered = query.order_by(table.c.cosine.desc(), table.c.first_id, table.c.second_id)
    return statements.cut(connection, ordered, limit, lambda last: f"{last.cosine!r} {last.first_id} {last.second_id}")


def _position(after: str) -> tuple[float, str, str]:
    cosine, first, second = after.split(" ")
    return float(cosine), first, second
