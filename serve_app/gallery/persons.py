"""Persons: enrolment, memberships, merging, deletion. Part of ``Gallery``."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Literal

from serve_app.domain import (
    Collection,
    Deletion,
    Enrolment,
    NewFace,
    Page,
    Person,
    PersonFields,
    PersonOrder,
    PersonUpdate,
    Slice,
    ThresholdRequest,
)
from serve_app.errors import InvalidRequest
from serve_app.gallery import checks
from serve_app.gallery.collections import Collections
from serve_app.gallery.duplicate_check import refuse_duplicates
from serve_app.gallery.privacy.erasure import Eraser
from serve_app.gallery.search import Search
from serve_app.gallery.sql.records import collections as collection_records
from serve_app.gallery.sql.records import persons
from serve_app.gallery.writes import deletion_plans, membership_plans, merge_plans, person_plans

MAX_FACES_PER_REQUEST = 1000
MAX_PERSONS_PER_REQUEST = 1000


class Persons(Collections, Search):
    """Implements :class:`~serve_app.contracts.persons.Persons`, synchronously. Part of ``Gallery``."""

    _eraser: Eraser

    def put_person(
        self,
        tenant: str,
        person_id: str,
        collections: Sequence[str],
        fields: PersonFields,
        faces: Sequence[NewFace] = (),
        mode: Literal["replace", "add"] = "replace",
        must_be_new: bool = False,
        duplicate_threshold: ThresholdRequest | None = None,
    ) -> Enrolment:
        checks.check_person_id(person_id)
        checks.check_person_fields(fields)
        if mode not in ("replace", "add"):
            raise InvalidRequest(f"mode must be replace or add, got {checks.quoted(mode)}.")
        if len(faces) > MAX_FACES_PER_REQUEST:
            raise InvalidRequest(f"At most {MAX_FACES_PER_REQUEST} faces can be added at once, got {len(faces)}.")
        for face in faces:
            checks.check_new_face(face)
        if not collections:
            self._ensure_pool(tenant)
        new = {uuid.uuid4().hex: face for face in faces}

        def write() -> Enrolment:
            return self._writer.run(
                lambda c: person_plans.put_person(c, tenant, person_id, collections, fields, new, mode, must_be_new),
                new,
            )

        if duplicate_threshold is None or not faces:
            return write()
        with self._database.read() as connection:
            ids = [
                each.id for each in collection_records.by_names(connection, tenant, list(dict.fromkeys(collections)))
            ]
        # Held until searches see the written faces, so that the next request's search finds them.
        with self._database.exclusive(*(f"enrolment {id_}" for id_ in ids)):
            refuse_duplicates(self.search, tenant, person_id, collections, faces, duplicate_threshold)
            return write()

    def person(self, tenant: str, person_id: str, collection: str | None = None) -> Person:
        with self._database.read() as connection:
            within = None if collection is None else collection_records.get(connection, tenant, collection).id
            row = persons.get(connection, tenant, person_id)
            if within is not None and within not in persons.collection_ids(connection, row.id):
                raise persons.not_found(person_id, collection)
            return persons.load(connection, [row.id])[row.id]

    def persons(
        self, tenant: str, collection: str | None = None, q: str = "", limit: int = 100, cursor: str | None = None
    ) -> Page[Person]:
        with self._database.read() as connection:
            within = None if collection is None else collection_records.get(connection, tenant, collection).id
            return persons.page(connection, tenant, within, q, limit, cursor)

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
        limit, offset = checks.check_slice(limit, offset)
        with self._database.read() as connection:
            within = None if collection is None else collection_records.get(connection, tenant, collection).id
            return persons.slice_of(connection, tenant, within, q, limit, offset, PersonOrder(order), descending)

    def update_person(self, tenant: str, person_id: str, update: PersonUpdate) -> Enrolment:
        checks.check_person_fields(update.fields)
        for face in update.new_faces:
            checks.check_new_face(face)
        if update.collections is not None:
            self._ensure_pool(tenant)
        new = {uuid.uuid4().hex: face for face in update.new_faces}
        return self._writer.run(lambda c: person_plans.update_person(c, tenant, person_id, update, new), new)

    def link_persons(
        self, tenant: str, collection: str, add: Sequence[str] = (), remove: Sequence[str] = ()
    ) -> Collection:
        _check_number((*add, *remove))
        if remove:
            self._ensure_pool(tenant)
        return self._writer.run(lambda c: membership_plans.link_persons(c, tenant, collection, add, remove))

    def merge_persons(self, tenant: str, person_id: str, other_id: str, collection: str | None = None) -> Person:
        return self._writer.run(lambda c: merge_plans.merge_persons(c, tenant, person_id, other_id, collection))

    def delete_person(self, tenant: str, person_id: str, collection: str | None = None) -> Deletion:
        return self._eraser.run(
            tenant, lambda c: deletion_plans.delete_person(c, tenant, person_id, collection), [person_id]
        )

    def delete_persons(self, tenant: str, person_ids: Sequence[str]) -> Deletion:
        _check_number(person_ids)
        return self._eraser.run(tenant, lambda c: deletion_plans.delete_persons(c, tenant, person_ids), person_ids)


def _check_number(person_ids: Sequence[str]) -> None:
    if len(person_ids) > MAX_PERSONS_PER_REQUEST:
        raise InvalidRequest(
            f"At most {MAX_PERSONS_PER_REQUEST} persons can be changed at once, got {len(person_ids)}.",
            limit=MAX_PERSONS_PER_REQUEST,
        )
