"""Erasure of persons and faces by a collection's retention period, or at the end of a consent. Part of ``Gallery``.

A person's retention period begins again with every change of the person.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Callable
from functools import partial
from typing import Any

import sqlalchemy as sa

from serve_app.domain import Deletion
from serve_app.errors import NotFound
from serve_app.gallery.privacy.erasure import Eraser
from serve_app.gallery.sql.records import persons as person_records
from serve_app.gallery.sql.records.changes import Changes
from serve_app.gallery.sql.schema import collections, face_collections, faces, person_collections, persons
from serve_app.gallery.writes import deletion_plans
from serve_app.gallery.writes.writer import Planned, Stores

AT_ONCE = 200
"""Persons, and unassigned faces, of each collection that one run of maintenance handles; the next run continues."""

StillDue = Callable[[Any], bool]


class Retention(Stores):
    """Applies retention periods and consents. Part of ``Gallery``."""

    _eraser: Eraser

    def expire_persons(self, now: dt.datetime | None = None) -> int:
        """Apply retention periods and ends of consents; the number of persons and faces handled. Part of maintenance.

        A person whose consent has ended is erased. A person who has been unchanged for a collection's retention period
        is removed from the collection, and erased if it was the last one. An unassigned face that is older than the
        period is erased.
        """
        now = now or dt.datetime.now(dt.UTC)
        done = 0
        consent = sa.select(persons.c.tenant_id, persons.c.external_id).where(persons.c.consent_expires <= now)
        limited = sa.select(collections).where(collections.c.retention_days.is_not(None))
        with self._database.read() as connection:
            consent_ended = connection.execute(consent.limit(AT_ONCE)).all()
            limited_collections = connection.execute(limited).all()
        for row in consent_ended:
            done += self._expire(row.tenant_id, row.external_id, None, partial(_consent_has_ended, now))
        for collection in limited_collections:
            before = now - dt.timedelta(days=collection.retention_days)
            with self._database.read() as connection:
                people = connection.execute(_persons_due(collection.id, before)).scalars().all()
                unassigned = connection.execute(_unassigned_due(collection.id, before)).scalars().all()
            for external_id in people:
                done += self._expire(collection.tenant_id, external_id, collection.name, partial(_is_unchanged, before))
            for face_id in unassigned:
                with contextlib.suppress(NotFound):
                    plan = partial(deletion_plans.delete_face, tenant=collection.tenant_id, face_id=face_id)
                    self._eraser.run(collection.tenant_id, plan, [])
                    done += 1
        return done

    def _expire(self, tenant: str, external_id: str, collection: str | None, still_due: StillDue) -> int:
        def plan(connection: sa.Connection) -> Planned[Deletion]:
            person = person_records.get(connection, tenant, external_id, lock=True)
            if not still_due(person):
                return Changes(tenant), lambda _: Deletion()
            changes, result = deletion_plans.delete_person(connection, tenant, external_id, collection)
            changes.action = "retention"
            return changes, result

        try:
            self._eraser.run(tenant, plan, [external_id])
        except NotFound:  # deleted or removed since
            return 0
        return 1


def _consent_has_ended(now: dt.datetime, person: Any) -> bool:
    return person.consent_expires is not None and person.consent_expires <= now


def _is_unchanged(since: dt.datetime, person: Any) -> bool:
    return bool(person.modified <= since)


def _persons_due(collection_id: str, before: dt.datetime) -> sa.Select[Any]:
    return (
        sa.select(persons.c.external_id)
        .join(person_collections, person_collections.c.person_id == persons.c.id)
        .where(person_collections.c.collection_id == collection_id, persons.c.modified <= before)
        .limit(AT_ONCE)
    )


def _unassigned_due(collection_id: str, before: dt.datetime) -> sa.Select[Any]:
    return (
        sa.select(faces.c.id)
        .join(face_collections, face_collections.c.face_id == faces.c.id)
        .where(
            face_collections.c.collection_id == collection_id, faces.c.person_id.is_(None), faces.c.created <= before
        )
        .limit(AT_ONCE)
    )
