"""The gallery as a directory: listings by position, memberships, changes of persons. A part of ``Gallery``.

Persons who are in no collection are members of the tenant's pool, a hidden collection, so that the index has rows of
them and a search of everybody finds them. Joining a collection takes them out of it; see ``records/collections.py``.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from serve_app.domain import (
    Collection,
    Deletion,
    Enrolment,
    NewCollection,
    Page,
    Person,
    PersonOrder,
    PersonUpdate,
    Slice,
)
from serve_app.errors import InvalidRequest
from serve_app.gallery import checks
from serve_app.gallery.privacy.erasure import Eraser
from serve_app.gallery.sql.database import Database
from serve_app.gallery.sql.records import audit_chain, collections, persons
from serve_app.gallery.writes import directory_plans, plans
from serve_app.gallery.writes.writer import Writer

MAX_PERSONS_PER_REQUEST = 1000


class Directory:
    """The methods of :class:`~serve_app.contracts.directory.Directory`, synchronous."""

    _database: Database
    _writer: Writer
    _eraser: Eraser

    def _need_pool(self, tenant: str) -> None:
        with self._database.read() as connection:
            if collections.pool(connection, tenant) is not None:
                return
        self._database.transact(lambda connection: collections.make_pool(connection, tenant))

    def create_collection(self, tenant: str, new: NewCollection) -> Collection:
        """The name is 1 to 64 of ``A-Z a-z 0-9 _ . -`` (InvalidRequest)."""

        def work(connection: sa.Connection) -> Collection:
            made = collections.create(connection, tenant, new)
            audit_chain.append(
                connection, tenant, [audit_chain.Draft("create_collection", (), [made.id], {"name": made.name})]
            )
            return made

        return self._database.transact(work)

    def collection(self, tenant: str, name: str) -> Collection:
        """One collection with its counts."""
        with self._database.read() as connection:
            return collections.get(connection, tenant, name)

    def collections_by_id(self, tenant: str, ids: Sequence[str]) -> tuple[Collection, ...]:
        """Several collections with their counts."""
        with self._database.read() as connection:
            return tuple(collections.with_ids(connection, tenant, ids))

    def collections(self, tenant: str, q: str = "", limit: int = 100, cursor: str | None = None) -> Page[Collection]:
        """Pages of 1 to 1,000."""
        with self._database.read() as connection:
            return collections.page(connection, tenant, q, limit, cursor)

    def update_collection(self, tenant: str, name: str, changes: Mapping[str, Any]) -> Collection:
        """Unknown fields and impossible values are InvalidRequest."""

        def work(connection: sa.Connection) -> Collection:
            made = collections.update(connection, tenant, name, changes)
            details = {"name": made.name, "fields": sorted(changes)}
            audit_chain.append(connection, tenant, [audit_chain.Draft("change_collection", (), [made.id], details)])
            return made

        return self._database.transact(work)

    def delete_collection(
        self, tenant: str, name: str, only_if_empty: bool = False, keep_persons: bool = False
    ) -> Deletion:
        """Refused for persons as well as for faces in it, if only an empty one may go."""
        if keep_persons:
            self._need_pool(tenant)
        return self._writer.run(plans.delete_collection(tenant, name, only_if_empty, keep_persons))

    def collections_named(self, tenant: str, names: Sequence[str]) -> tuple[Collection, ...]:
        """In no order."""
        with self._database.read() as connection:
            return tuple(collections.present(connection, tenant, set(names)))

    def collections_slice(
        self,
        tenant: str,
        q: str = "",
        limit: int = 100,
        offset: int = 0,
        descending: bool = False,
        person_id: str | None = None,
    ) -> Slice[Collection]:
        """At most 1,000."""
        limit, offset = _check_slice(limit, offset)
        with self._database.read() as connection:
            internal = None if person_id is None else persons.get(connection, tenant, person_id).id
            return collections.slice_of(connection, tenant, q, limit, offset, descending, internal)

    def persons_slice(
        self,
        tenant: str,
        collection: str | None = None,
        q: str = "",
        limit: int = 100,
        offset: int = 0,
        order: PersonOrder = PersonOrder.NAME,
        descending: bool = False,
    ) -> Slice[Person]:
        """At most 1,000."""
        limit, offset = _check_slice(limit, offset)
        with self._database.read() as connection:
            place = None if collection is None else collections.get(connection, tenant, collection).id
            return persons.slice_of(connection, tenant, place, q, limit, offset, PersonOrder(order), descending)

    def update_person(self, tenant: str, person_id: str, update: PersonUpdate) -> Enrolment:
        """New and kept faces must satisfy the policies, as in ``put_person``."""
        checks.check_person_fields(update.fields)
        for face in update.new_faces:
            checks.check_new_face(face)
        if update.collections is not None:
            self._need_pool(tenant)
        new = {uuid.uuid4().hex: face for face in update.new_faces}
        return self._writer.run(directory_plans.update_person(tenant, person_id, update, new), images=new)

    def link_persons(
        self, tenant: str, collection: str, add: Sequence[str] = (), remove: Sequence[str] = ()
    ) -> Collection:
        """At most 1,000 persons."""
        _check_persons((*add, *remove))
        if remove:
            self._need_pool(tenant)
        return self._writer.run(directory_plans.link_persons(tenant, collection, add, remove))

    def merge_persons(self, tenant: str, person_id: str, other_id: str, collection: str | None = None) -> Person:
        """The other person's record goes, their faces stay what they are."""
        return self._writer.run(directory_plans.merge_persons(tenant, person_id, other_id, collection))

    def delete_persons(self, tenant: str, person_ids: Sequence[str]) -> Deletion:
        """At most 1,000 persons."""
        _check_persons(person_ids)
        return self._eraser.run(tenant, directory_plans.delete_persons(tenant, person_ids), person_ids)


def _check_slice(limit: int, offset: int) -> tuple[int, int]:
    if limit != 0:  # zero asks for the total alone
        checks.check_limit(limit)
    return limit, checks.check_offset(offset)


def _check_persons(person_ids: Sequence[str]) -> None:
    if len(person_ids) > MAX_PERSONS_PER_REQUEST:
        raise InvalidRequest(
            f"At most {MAX_PERSONS_PER_REQUEST} persons are changed at once, got {len(person_ids)}.",
            limit=MAX_PERSONS_PER_REQUEST,
        )
