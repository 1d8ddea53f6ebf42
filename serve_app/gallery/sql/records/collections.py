"""Statements about collections.

Two kinds of collections are hidden. A tenant's *pool* has the persons who are in no other collection, so that the index
has rows of their faces and a search without collections finds them. A collection's *unknowns collection* has the faces
of its unknowns, so that the index has rows of them which searches of the collection do not see. The names of hidden
collections begin with characters that no other name can have.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import sqlalchemy as sa

from serve_app.domain import Collection, NewCollection, Page, Slice
from serve_app.errors import CollectionExists, CollectionNotFound, InvalidRequest
from serve_app.gallery import checks
from serve_app.gallery.sql.records.collection_values import to_collection, to_values
from serve_app.gallery.sql.records.statements import containing, count, page_of
from serve_app.gallery.sql.schema import collections, person_collections

Lock = Literal["share", "update"]

POOL = "*"
"""Name of a tenant's pool."""

UNKNOWNS_PREFIX = "?"
"""First character of the name of a collection's unknowns collection; the collection's id follows."""

_HIDDEN = (POOL, UNKNOWNS_PREFIX)

_VISIBLE = sa.func.substr(collections.c.name, 1, 1).not_in(_HIDDEN)

_FIELDS = tuple(field.name for field in dataclasses.fields(NewCollection))

_BY_NAME = (
    sa.select(collections)
    .where(
        collections.c.tenant_id == sa.bindparam("tenant"),
        collections.c.name.in_(sa.bindparam("names", expanding=True)),
        _VISIBLE,
    )
    .order_by(collections.c.id)  # all writers lock collections in this order
)


def is_hidden(name: str) -> bool:
    """Whether it is the name of a pool or of an unknowns collection."""
    return name[0] in _HIDDEN


def create(connection: sa.Connection, tenant: str, new: NewCollection) -> Collection:
    """Insert a collection. Raises CollectionExists, InvalidRequest."""
    values = to_values(new)
    _check_unused(connection, tenant, new.name)
    _insert(connection, tenant, values)
    return get(connection, tenant, new.name)


def pool(connection: sa.Connection, tenant: str) -> Collection | None:
    """The tenant's pool; None before :func:`make_pool` was called."""
    return _hidden(connection, tenant, POOL)


def get_pool(connection: sa.Connection, tenant: str) -> Collection:
    """The tenant's pool, which :func:`make_pool` must have created."""
    found = pool(connection, tenant)
    if found is None:
        raise AssertionError(f"the tenant {tenant} has no pool")
    return found


def make_pool(connection: sa.Connection, tenant: str) -> None:
    """Create the tenant's pool if there is none."""
    if pool(connection, tenant) is None:
        _insert(connection, tenant, to_values(NewCollection("pool")), name=POOL, search_text="")


def unknowns_collection(connection: sa.Connection, collection: Collection) -> Collection | None:
    """The collection's unknowns collection; None before :func:`make_unknowns_collection` was called."""
    return _hidden(connection, collection.tenant_id, UNKNOWNS_PREFIX + collection.id)


def get_unknowns_collection(connection: sa.Connection, collection: Collection) -> Collection:
    """The collection's unknowns collection, which :func:`make_unknowns_collection` must have created."""
    found = unknowns_collection(connection, collection)
    if found is None:
        raise AssertionError(f"the collection {collection.id} has no unknowns collection")
    return found


def make_unknowns_collection(connection: sa.Connection, collection: Collection) -> None:
    """Create the collection's unknowns collection if there is none.

    Locks the collection, so that it is not deleted at the same time. Raises CollectionNotFound.
    """
    get(connection, collection.tenant_id, collection.name, "share")
    if unknowns_collection(connection, collection) is None:
        name = UNKNOWNS_PREFIX + collection.id
        _insert(connection, collection.tenant_id, to_values(NewCollection("unknowns")), name=name, search_text="")


def owners_of_unknowns_collections(connection: sa.Connection, ids: Iterable[str]) -> dict[str, str]:
    """For those of the ids that are unknowns collections: id -> id of the collection that it belongs to."""
    query = sa.select(collections.c.id, collections.c.name).where(
        collections.c.id.in_(list(ids)), sa.func.substr(collections.c.name, 1, 1) == UNKNOWNS_PREFIX
    )
    return {row.id: row.name.removeprefix(UNKNOWNS_PREFIX) for row in connection.execute(query)}


def everywhere(connection: sa.Connection, tenant: str) -> list[Collection]:
    """All visible collections of the tenant, and its pool."""
    chosen = collections.c.tenant_id == tenant, sa.or_(_VISIBLE, collections.c.name == POOL)
    query = sa.select(collections).where(*chosen).order_by(collections.c.id)
    return [to_collection(row) for row in connection.execute(query)]


def get(connection: sa.Connection, tenant: str, name: str, lock: Lock | None = None) -> Collection:
    """One visible collection by name. Raises CollectionNotFound."""
    return by_names(connection, tenant, [name], lock)[0]


def by_names(
    connection: sa.Connection, tenant: str, names: Sequence[str], lock: Lock | None = None
) -> list[Collection]:
    """Visible collections, in the order of the names. Raises CollectionNotFound for the first that does not exist.

    ``lock`` is held until the transaction ends. ``share`` (FOR KEY SHARE) keeps the collections from being renamed or
    deleted, and lets other transactions change their counts; ``update`` excludes all other locks.
    """
    found = {collection.name: collection for collection in present(connection, tenant, names, lock)}
    for name in names:
        if name not in found:
            raise CollectionNotFound(f"There is no collection named {checks.quoted(name)}.", collection=str(name)[:100])
    return [found[name] for name in names]


def present(connection: sa.Connection, tenant: str, names: Iterable[str], lock: Lock | None = None) -> list[Collection]:
    """Those of the named collections that exist and are visible, in no order."""
    wanted = {"tenant": tenant, "names": [name for name in names if checks.is_text(name)]}
    return [to_collection(row) for row in connection.execute(_locked(_BY_NAME, lock), wanted)]


def by_ids(connection: sa.Connection, ids: Iterable[str], lock: Lock | None = None) -> list[Collection]:
    """Those of the collections that exist, ordered by id; hidden ones too."""
    query = sa.select(collections).where(collections.c.id.in_(list(ids))).order_by(collections.c.id)
    return [to_collection(row) for row in connection.execute(_locked(query, lock))]


def with_ids(connection: sa.Connection, tenant: str, ids: Sequence[str]) -> list[Collection]:
    """Visible collections of a tenant, in the order of the ids.

    Raises CollectionNotFound for the first that does not exist.
    """
    wanted = [collection_id for collection_id in ids if checks.is_id(collection_id)]
    known = [c for c in by_ids(connection, wanted) if c.tenant_id == tenant and not is_hidden(c.name)]
    found = {collection.id: collection for collection in known}
    for collection_id in ids:
        if collection_id not in found:
            raise CollectionNotFound(
                f"There is no collection with the id {checks.quoted(collection_id)}.",
                collection_id=str(collection_id)[:100],
            )
    return [found[collection_id] for collection_id in ids]


def page(connection: sa.Connection, tenant: str, q: str, limit: int, cursor: str | None) -> Page[Collection]:
    """A page of visible collections, by name. Raises InvalidRequest (cursor, limit)."""
    rows, following = page_of(connection, _listed(tenant, q), collections.c.name, limit, cursor)
    return Page(tuple(map(to_collection, rows)), following)


def slice_of(
    connection: sa.Connection,
    tenant: str,
    q: str,
    limit: int,
    offset: int,
    descending: bool = False,
    person_id: str | None = None,
) -> Slice[Collection]:
    """A slice of visible collections, by name; ``person_id`` (internal) keeps those that the person is in.

    Raises InvalidRequest.
    """
    query = _listed(tenant, q)
    if person_id is not None:
        of_person = sa.select(person_collections.c.collection_id).where(person_collections.c.person_id == person_id)
        query = query.where(collections.c.id.in_(of_person))
    order = collections.c.name.desc() if descending else collections.c.name
    rows = connection.execute(query.order_by(order).limit(limit).offset(offset))
    return Slice(tuple(map(to_collection, rows)), count(connection, query))


def update(connection: sa.Connection, tenant: str, name: str, changes: Mapping[str, Any]) -> Collection:
    """Set fields of a collection. Raises CollectionNotFound, CollectionExists, InvalidRequest."""
    unknown = sorted(set(changes) - set(_FIELDS))
    if unknown:
        raise InvalidRequest(f"A collection has the fields {', '.join(_FIELDS)}; got {checks.quoted(unknown)}.")
    stored = get(connection, tenant, name, "update")
    new = dataclasses.replace(NewCollection(**{field: getattr(stored, field) for field in _FIELDS}), **changes)
    values = to_values(new, kept_name=name)
    if new.name != name:
        _check_unused(connection, tenant, new.name)
    connection.execute(
        collections.update().where(collections.c.id == stored.id).values(modified=dt.datetime.now(dt.UTC), **values)
    )
    return get(connection, tenant, new.name)


def totals(connection: sa.Connection) -> tuple[int, int, int]:
    """Numbers of visible collections, of memberships of persons and of memberships of faces, over all tenants."""
    sums = [sa.func.coalesce(sa.func.sum(each), 0) for each in (collections.c.person_count, collections.c.face_count)]
    visible, persons, faces = connection.execute(sa.select(sa.func.count().filter(_VISIBLE), *sums)).one()
    return int(visible), int(persons), int(faces)


def _insert(connection: sa.Connection, tenant: str, values: Mapping[str, Any], **hidden: str) -> None:
    now = dt.datetime.now(dt.UTC)
    fresh = {"id": uuid.uuid4().hex, "tenant_id": tenant, "created": now, "modified": now}
    connection.execute(collections.insert().values({**values, **hidden, **fresh, "person_count": 0, "face_count": 0}))


def _listed(tenant: str, q: str) -> sa.Select[Any]:
    return sa.select(collections).where(
        collections.c.tenant_id == tenant, _VISIBLE, *containing(collections.c.search_text, q)
    )


def _locked(query: sa.Select[Any], lock: Lock | None) -> sa.Select[Any]:
    return query if lock is None else query.with_for_update(read=lock == "share", key_share=lock == "share")


def _hidden(connection: sa.Connection, tenant: str, name: str) -> Collection | None:
    query = sa.select(collections).where(collections.c.tenant_id == tenant, collections.c.name == name)
    row = connection.execute(query).first()
    return None if row is None else to_collection(row)


def _check_unused(connection: sa.Connection, tenant: str, name: str) -> None:
    if present(connection, tenant, [name]):
        raise CollectionExists(f"There is already a collection named {name}.", collection=name)
