"""Statements about unknowns: clusters of faces that searches did not recognise and kept.

The faces of a collection's unknowns are in its hidden unknowns collection (see ``collections.py``), so that the index
has rows of them which searches of the collection do not see.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from serve_app.domain import Collection, Face, Page, Unknown
from serve_app.errors import UnknownNotFound
from serve_app.gallery.checks import decode_cursor, is_id, quoted
from serve_app.gallery.sql.records.faces import to_face
from serve_app.gallery.sql.records.statements import cut, rows_in
from serve_app.gallery.sql.schema import faces, unknown_faces, unknowns


def _not_expired() -> sa.ColumnElement[bool]:
    """The condition that a face exists for callers: an expired face counts as erased before its erasure."""
    return faces.c.expires > dt.datetime.now(dt.UTC)


def of_faces(connection: sa.Connection, face_ids: Iterable[str]) -> dict[str, str]:
    """Face id -> id of the unknown that it belongs to, for those of the faces that are kept."""
    query = sa.select(unknown_faces).join(faces).where(_not_expired())
    return {row.face_id: row.unknown_id for row in rows_in(connection, query, unknown_faces.c.face_id, face_ids)}


def lock(connection: sa.Connection, collection_id: str, ids: Iterable[str]) -> set[str]:
    """Lock and return the ids of those of the collection's unknowns that exist."""
    wanted = sorted({id_ for id_ in ids if is_id(id_)})
    query = sa.select(unknowns.c.id).where(unknowns.c.collection_id == collection_id, unknowns.c.id.in_(wanted))
    return set(connection.execute(query.order_by(unknowns.c.id).with_for_update()).scalars())


def face_rows(connection: sa.Connection, ids: Iterable[str]) -> list[sa.Row[Any]]:
    """Rows of the kept faces of these unknowns, with templates and ``unknown_id``, newest first."""
    query = (
        sa.select(faces, unknown_faces.c.unknown_id)
        .join(unknown_faces)
        .where(_not_expired())
        .order_by(faces.c.created.desc(), faces.c.id)
    )
    return list(rows_in(connection, query, unknown_faces.c.unknown_id, ids))


def counts(connection: sa.Connection, ids: Sequence[str]) -> dict[str, int]:
    """Unknown id -> number of its faces."""
    query = (
        sa.select(unknown_faces.c.unknown_id, sa.func.count().label("number"))
        .where(unknown_faces.c.unknown_id.in_(list(ids)))
        .group_by(unknown_faces.c.unknown_id)
    )
    return {row.unknown_id: row.number for row in connection.execute(query)}


def get(connection: sa.Connection, collection: Collection, unknown_id: str) -> Unknown:
    """One unknown with its faces. Raises UnknownNotFound."""
    found = None
    if is_id(unknown_id):
        query = sa.select(unknowns).where(unknowns.c.collection_id == collection.id, unknowns.c.id == unknown_id)
        found = connection.execute(query).first()
    loaded = _loaded(connection, collection, [found] if found is not None else [])
    if not loaded:
        raise not_found(unknown_id, collection.name)
    return loaded[0]


def not_found(unknown_id: object, name: str) -> UnknownNotFound:
    """The error for an unknown that does not exist; ``name`` is the collection's."""
    text = f"There is no unknown with the id {quoted(unknown_id)} in the collection {name}; it may have expired."
    return UnknownNotFound(text, unknown_id=str(unknown_id)[:100])


def page(connection: sa.Connection, collection: Collection, limit: int, cursor: str | None) -> Page[Unknown]:
    """A page of a collection's unknowns, latest seen first. Raises InvalidRequest (cursor, limit)."""
    kept = sa.select(unknown_faces.c.unknown_id).join(faces).where(_not_expired())
    query = sa.select(unknowns).where(unknowns.c.collection_id == collection.id, unknowns.c.id.in_(kept))
    if (after := decode_cursor(cursor, _position)) is not None:
        last_seen, unknown_id = after
        behind = sa.and_(unknowns.c.last_seen == last_seen, unknowns.c.id > unknown_id)
        query = query.where(sa.or_(unknowns.c.last_seen < last_seen, behind))
    ordered = query.order_by(unknowns.c.last_seen.desc(), unknowns.c.id)
    rows, following = cut(connection, ordered, limit, lambda last: f"{last.last_seen.isoformat()} {last.id}")
    return Page(tuple(_loaded(connection, collection, rows)), following)


def insert(unknown_id: str, collection_id: str, now: dt.datetime) -> sa.Executable:
    """The statement that inserts a new unknown, seen once."""
    return unknowns.insert().values(
        id=unknown_id, collection_id=collection_id, sightings=1, first_seen=now, last_seen=now
    )


def see(unknown_id: str, now: dt.datetime) -> sa.Executable:
    """The statement that counts another sighting."""
    return (
        unknowns.update().where(unknowns.c.id == unknown_id).values(sightings=unknowns.c.sightings + 1, last_seen=now)
    )


def join(face_id: str, unknown_id: str) -> sa.Executable:
    """The statement that adds a face to an unknown."""
    return unknown_faces.insert().values(face_id=face_id, unknown_id=unknown_id)


def merge(connection: sa.Connection, into: str, others: Sequence[str]) -> None:
    """Merge the other unknowns into one, and delete them."""
    both = unknowns.c.id.in_([into, *others])
    query = sa.select(
        sa.func.sum(unknowns.c.sightings), sa.func.min(unknowns.c.first_seen), sa.func.max(unknowns.c.last_seen)
    )
    sightings, first, last = connection.execute(query.where(both)).one()
    connection.execute(
        unknown_faces.update().where(unknown_faces.c.unknown_id.in_(list(others))).values(unknown_id=into)
    )
    connection.execute(forget(others))
    connection.execute(
        unknowns.update().where(unknowns.c.id == into).values(sightings=sightings, first_seen=first, last_seen=last)
    )


def forget(ids: Sequence[str]) -> sa.Executable:
    """The statement that deletes unknowns, whose faces must belong to a person or be erased in the same transaction."""
    return unknowns.delete().where(unknowns.c.id.in_(list(ids)))


def forget_empty(connection: sa.Connection) -> int:
    """Delete the unknowns whose faces have all been erased; the number deleted."""
    used = sa.select(unknown_faces.c.face_id).where(unknown_faces.c.unknown_id == unknowns.c.id).exists()
    return connection.execute(unknowns.delete().where(~used)).rowcount


def all_ids(connection: sa.Connection, collection_id: str) -> list[str]:
    """Ids of all unknowns of a collection."""
    return list(connection.execute(sa.select(unknowns.c.id).where(unknowns.c.collection_id == collection_id)).scalars())


def _loaded(connection: sa.Connection, collection: Collection, rows: Sequence[sa.Row[Any]]) -> list[Unknown]:
    found: dict[str, list[Face]] = defaultdict(list)
    for face in face_rows(connection, [row.id for row in rows]):
        found[face.unknown_id].append(to_face(face, None))
    return [
        Unknown(row.id, collection.name, tuple(found[row.id]), row.sightings, row.first_seen, row.last_seen)
        for row in rows
        if row.id in found
    ]


def _position(after: str) -> tuple[dt.datetime, str]:
    time, _, unknown_id = after.partition(" ")
    last_seen = dt.datetime.fromisoformat(time)
    if last_seen.tzinfo is None:
        raise ValueError
    return last_seen, unknown_id
