"""Collections. Part of ``Gallery``.

Persons who are in no collection are members of the tenant's pool, a hidden collection, so that the index has rows of
their faces and a search without collections finds them. Joining a collection removes them from the pool; see
``sql/records/collections.py``.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from serve_app.domain import Collection, Deletion, NewCollection, Page, Slice
from serve_app.gallery import checks
from serve_app.gallery.sql.records import audit_chain, collections, persons
from serve_app.gallery.writes import deletion_plans
from serve_app.gallery.writes.writer import Stores


class Collections(Stores):
    """Implements :class:`~serve_app.contracts.collections.Collections`, synchronously. Part of ``Gallery``."""

    _lifetime: dt.timedelta

    def create_collection(self, tenant: str, new: NewCollection) -> Collection:
        def work(connection: sa.Connection) -> Collection:
            collection = collections.create(connection, tenant, new)
            entry = audit_chain.Draft("create_collection", (), [collection.id], {"name": collection.name})
            audit_chain.append(connection, tenant, [entry])
            return collection

        return self._database.transact(work)

    def collection(self, tenant: str, name: str) -> Collection:
        with self._database.read() as connection:
            return collections.get(connection, tenant, name)

    def collections_by_id(self, tenant: str, ids: Sequence[str]) -> tuple[Collection, ...]:
        with self._database.read() as connection:
            return tuple(collections.with_ids(connection, tenant, ids))

    def collections_named(self, tenant: str, names: Sequence[str]) -> tuple[Collection, ...]:
        with self._database.read() as connection:
            return tuple(collections.present(connection, tenant, set(names)))

    def collections(self, tenant: str, q: str = "", limit: int = 100, cursor: str | None = None) -> Page[Collection]:
        with self._database.read() as connection:
            return collections.page(connection, tenant, q, limit, cursor)

    def collections_slice(
        self,
        tenant: str,
        q: str = "",
        limit: int = 100,
        offset: int = 0,
        descending: bool = False,
        person_id: str | None = None,
    ) -> Slice[Collection]:
        limit, offset = checks.check_slice(limit, offset)
        with self._database.read() as connection:
            internal = None if person_id is None else persons.get(connection, tenant, person_id).id
            return collections.slice_of(connection, tenant, q, limit, offset, descending, internal)

    def update_collection(self, tenant: str, name: str, changes: Mapping[str, Any]) -> Collection:
        def work(connection: sa.Connection) -> Collection:
            collection = collections.update(connection, tenant, name, changes)
            details = {"name": collection.name, "fields": sorted(changes)}
            audit_chain.append(
                connection, tenant, [audit_chain.Draft("change_collection", (), [collection.id], details)]
            )
            return collection

        return self._database.transact(work)

    def delete_collection(
        self,
        tenant: str,
        name: str,
        only_if_empty: bool = False,
        keep_persons: bool = False,
        keep_faces: bool = False,
    ) -> Deletion:
        if keep_persons:
            self._ensure_pool(tenant)
        return self._writer.run(
            lambda c: deletion_plans.delete_collection(
                c, tenant, name, only_if_empty, keep_persons, self._lifetime if keep_faces else None
            )
        )

    def _ensure_pool(self, tenant: str) -> None:
        with self._database.read() as connection:
            if collections.pool(connection, tenant) is not None:
                return
        self._database.transact(lambda c: collections.make_pool(c, tenant))
