"""Statements about persons."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from serve_app.domain import Consent, Page, Person, PersonFields, PersonOrder, Slice
from serve_app.errors import PersonNotFound
from serve_app.gallery.checks import PERSON_TEXTS, is_text, quoted
from serve_app.gallery.sql.records import faces as face_records
from serve_app.gallery.sql.records import statements
from serve_app.gallery.sql.records.collections import POOL
from serve_app.gallery.sql.schema import collections, person_collections, persons

_BY_ID = sa.select(persons).where(persons.c.id.in_(statements.IDS))
_COLLECTION_NAMES = (
    sa.select(person_collections.c.person_id, collections.c.name)
    .join(collections, collections.c.id == person_collections.c.collection_id)
    .where(person_collections.c.person_id.in_(statements.IDS), collections.c.name != POOL)
    .order_by(collections.c.name)
)


def find(connection: sa.Connection, tenant: str, external_id: str, lock: bool = False) -> sa.Row[Any] | None:
    """The person's row, None if there is none; ``lock`` keeps other writers out until the transaction ends."""
    if not is_text(external_id):
        return None
    query = sa.select(persons).where(persons.c.tenant_id == tenant, persons.c.external_id == external_id)
    return connection.execute(query.with_for_update() if lock else query).first()


def get(connection: sa.Connection, tenant: str, external_id: str, lock: bool = False) -> sa.Row[Any]:
    """As :func:`find`. Raises PersonNotFound."""
    row = find(connection, tenant, external_id, lock)
    if row is None:
        raise not_found(external_id)
    return row


def get_all(connection: sa.Connection, tenant: str, external_ids: Iterable[str]) -> list[sa.Row[Any]]:
    """The rows of all these persons, in the order of the ids. Raises PersonNotFound for the first that does not exist.

    The rows are locked in the order of the internal ids, so that two writers never wait for each other.
    """
    wanted = list(dict.fromkeys(external_ids))
    query = sa.select(persons).where(persons.c.tenant_id == tenant).order_by(persons.c.id).with_for_update()
    rows = statements.rows_in(connection, query, persons.c.external_id, filter(is_text, wanted))
    found = {row.external_id: row for row in rows}
    for external_id in wanted:
        if external_id not in found:
            raise not_found(external_id)
    return [found[external_id] for external_id in wanted]


def not_found(external_id: object, collection: str | None = None) -> PersonNotFound:
    """The error for a person who does not exist, or is not in that collection."""
    where = "" if collection is None else f" in the collection {collection}"
    return PersonNotFound(
        f"There is no person with the id {quoted(external_id)}{where}.", person_id=str(external_id)[:100]
    )


def collection_ids(connection: sa.Connection, person_id: str) -> set[str]:
    """Ids of the collections that a person (internal id) is in, the pool included."""
    query = sa.select(person_collections.c.collection_id).where(person_collections.c.person_id == person_id)
    return set(connection.execute(query).scalars())


def load(connection: sa.Connection, ids: Iterable[str]) -> dict[str, Person]:
    """Complete persons by internal id: with faces and names of collections. Three statements for each 1,000 persons."""
    loaded: dict[str, Person] = {}
    for batch in statements.batches(ids):
        loaded |= _with_relations(connection, connection.execute(_BY_ID, {"ids": batch}).all())
    return loaded


def page(
    connection: sa.Connection, tenant: str, collection_id: str | None, q: str, limit: int, cursor: str | None
) -> Page[Person]:
    """A page of persons, by external id. Raises InvalidRequest (cursor, limit)."""
    rows, following = statements.page_of(
        connection, _listed(tenant, collection_id, q), persons.c.external_id, limit, cursor
    )
    return Page(tuple(_with_relations(connection, rows).values()), following)


def slice_of(
    connection: sa.Connection,
    tenant: str,
    collection_id: str | None,
    q: str,
    limit: int,
    offset: int,
    order: PersonOrder = PersonOrder.NAME,
    descending: bool = False,
) -> Slice[Person]:
    """See :meth:`~serve_app.contracts.persons.Persons.persons_slice`."""
    query = _listed(tenant, collection_id, q)
    column = persons.c[str(order)]
    key = statements.by_code_point(connection, column) if isinstance(column.type, sa.Text) else column
    empty = column.is_(None) if order is PersonOrder.DATE_OF_BIRTH else column == ""
    empty_last = [] if order in (PersonOrder.CREATED, PersonOrder.MODIFIED) else [sa.case((empty, 1), else_=0)]
    ordered = query.order_by(*empty_last, key.desc() if descending else key, persons.c.external_id)
    rows = connection.execute(ordered.limit(limit).offset(offset)).all()
    return Slice(tuple(_with_relations(connection, rows).values()), statements.count(connection, query))


def lock_in_collection(connection: sa.Connection, collection_id: str) -> list[str]:
    """Lock a collection's persons in the order of their internal ids, and return these."""
    query = (
        sa.select(persons.c.id)
        .join(person_collections, person_collections.c.person_id == persons.c.id)
        .where(person_collections.c.collection_id == collection_id)
        .order_by(persons.c.id)
        .with_for_update(of=persons)
    )
    return list(connection.execute(query).scalars())


def elsewhere(connection: sa.Connection, collection_id: str) -> set[str]:
    """Internal ids of those of a collection's persons who are in another collection as well."""
    here, other = person_collections.alias(), person_collections.alias()
    query = (
        sa.select(here.c.person_id)
        .join(other, other.c.person_id == here.c.person_id)
        .where(here.c.collection_id == collection_id, other.c.collection_id != collection_id)
    )
    return set(connection.execute(query).scalars())


def values(external_id: str, fields: PersonFields, present: sa.Row[Any] | None) -> dict[str, Any]:
    """The columns to write: for each field what is given, else what is stored (``present``), else an empty value."""
    stored: dict[str, Any] = dict(present._mapping) if present is not None else {}
    result: dict[str, Any] = {}
    for name in PERSON_TEXTS:
        result[name] = stored.get(name, "") if (given := getattr(fields, name)) is None else given
    born = fields.date_of_birth
    result["date_of_birth"] = stored.get("date_of_birth") if born is None else born or None
    result["watch_list"] = list(fields.watch_list if fields.watch_list is not None else stored.get("watch_list", ()))
    result["metadata"] = dict(fields.metadata if fields.metadata is not None else stored.get("metadata", {}))
    if (consent := fields.consent) is not None:
        result["consent"] = _to_json(consent) if consent.basis else None
        result["consent_expires"] = consent.expires if consent.basis else None
    result["search_text"] = statements.search_text(external_id, result["name"])
    return result


def _listed(tenant: str, collection_id: str | None, q: str) -> sa.Select[Any]:
    query = sa.select(persons).where(persons.c.tenant_id == tenant, *statements.containing(persons.c.search_text, q))
    if collection_id is None:
        return query
    return query.join(person_collections, person_collections.c.person_id == persons.c.id).where(
        person_collections.c.collection_id == collection_id
    )


def _with_relations(connection: sa.Connection, rows: Sequence[sa.Row[Any]]) -> dict[str, Person]:
    """The complete persons of these rows by internal id, in the order of the rows."""
    if not rows:
        return {}
    external_ids = {row.id: row.external_id for row in rows}
    names = defaultdict(list)
    for person_id, name in connection.execute(_COLLECTION_NAMES, {"ids": list(external_ids)}):
        names[person_id].append(name)
    faces = defaultdict(list)
    for face in face_records.of_persons(connection, external_ids):
        faces[face.person_id].append(face_records.to_face(face, external_ids[face.person_id]))
    return {
        row.id: statements.to_value(
            Person,
            row,
            id=row.external_id,
            watch_list=tuple(row.watch_list),
            consent=_to_consent(row.consent),
            collections=tuple(names[row.id]),
            faces=tuple(faces[row.id]),
        )
        for row in rows
    }


def _to_json(consent: Consent) -> dict[str, Any]:
    times = {name: time.isoformat() for name in ("given", "expires") if (time := getattr(consent, name)) is not None}
    return {"basis": consent.basis, "reference": consent.reference, **times}


def _to_consent(stored: dict[str, Any] | None) -> Consent | None:
    if stored is None:
        return None
    times = {name: dt.datetime.fromisoformat(stored[name]) for name in ("given", "expires") if name in stored}
    return Consent(stored["basis"], stored["reference"], **times)
