"""The transaction over records, index and images.

    1. read      what would change, and whether it may: nothing is written by a refused request
    2. journal   name the faces whose index rows or images will change (committed)
    3. images    of new faces
    4. commit    one SQL transaction: journal entries out, records in, then the index while records are still revocable
    5. images    of dropped faces are erased

When the index fails in 4, the records roll back and nothing was written. When the database is lost during the commit
itself, nobody knows whether it committed: the journal entries do, once it answers again. A crash anywhere leaves
journal entries that say where to look, and the records say what is right. The journal entries are removed first in 4:
an entry that is gone was taken by a repair, which means that this writer was given up, and it starts again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Literal, Protocol, TypeVar

import sqlalchemy as sa

from serve_app.errors import StoreUnavailable
from serve_app.gallery.blobs import BlobStore
from serve_app.gallery.index.base import VectorIndex
from serve_app.gallery.repair import Repairer
from serve_app.gallery.sql.database import Database, LostRace, retried
from serve_app.gallery.sql.records import audit_chain, faces, journal
from serve_app.gallery.sql.records import changes as change_records
from serve_app.gallery.sql.records.changes import Changes
from serve_app.gallery.writes.secondary_templates import IndexChanges, index_changes, of_models_in_use

log = logging.getLogger(__name__)

T = TypeVar("T")

Plan = Callable[[sa.Connection], tuple[Changes, Callable[[sa.Connection], T]]]
"""Reads (and locks) what it needs, raises if the request must be refused, and answers what to change and a function
that reads the result afterwards. It runs more than once."""


class Images(Protocol):
    """A face's images, as far as they are to be stored."""

    @property
    def thumbnail(self) -> bytes | None: ...

    @property
    def photograph(self) -> bytes | None: ...


class Writer:
    """Runs plans."""

    def __init__(self, database: Database, index: VectorIndex, blobs: BlobStore, repairer: Repairer) -> None:
        self._database = database
        self._index = index
        self._blobs = blobs
        self._repairer = repairer

    def run(self, plan: Plan[T], images: Mapping[str, Images] | None = None) -> T:
        """Carry the plan out, all of it or nothing.

        Args:
            plan: see :data:`Plan`.
            images: new faces by id, whose images are to be stored.

        Raises:
            StoreUnavailable: nothing was written; except that when only the erasure of images failed, the records are
                gone and the erasure is completed later (``details["pending"]``), and that when the database was lost
                during the commit all or nothing was written (``details["outcome"]`` is ``unknown``).
        """
        return retried(lambda: self._attempt(plan, images or {}))

    def _attempt(self, plan: Plan[T], images: Mapping[str, Images]) -> T:
        with self._database.read() as connection:
            changes, _ = plan(connection)
        intended = changes.touched()
        entries: list[int] = []
        if intended:
            entries = self._database.transact(lambda c: journal.add(c, changes.tenant, intended))
        step = _Step()
        try:
            self._store(changes.tenant, images)
            with self._database.write() as connection:
                changes, leftovers, answer = self._commit(connection, plan, entries, intended, step)
                step.reached = "commit"
        except Exception as error:
            self._undo(changes.tenant, entries, images, step)
            if step.reached == "commit" and isinstance(error, StoreUnavailable) and not isinstance(error, LostRace):
                raise StoreUnavailable(
                    "The database went away while the change was being made final. All of it was made or nothing; "
                    "which one can be read when the database answers again.",
                    outcome="unknown",
                ) from error
            raise
        self._erase(changes, leftovers)
        self._await_visible(step.indexed)
        return answer

    def _commit(
        self,
        connection: sa.Connection,
        plan: Plan[T],
        entries: list[int],
        intended: Mapping[str, str],
        step: _Step,
    ) -> tuple[Changes, list[int], T]:
        if journal.remove(connection, entries) != len(entries):
            raise LostRace("The request took so long that it was given up; try again.")
        changes, result = plan(connection)
        if not changes.touched().keys() <= intended.keys():
            raise LostRace("The gallery changed meanwhile; try again.")
        faces.lock(connection, changes.touched())
        changes.templates = of_models_in_use(connection, changes.templates)
        indexed = step.indexed = index_changes(connection, changes)
        counts = change_records.write(connection, changes)
        step.reached = "index"
        try:
            self._index.attend(connection)
            for model, keys in indexed.delete.items():
                self._index.delete(model, keys)
            for model, rows in indexed.upsert.items():
                self._index.upsert(model, rows)
        except StoreUnavailable:
            step.reached = "index down"
            raise
        change_records.finish(connection, changes, counts)
        with_images = {face.id: face.model for face in changes.drop_faces if face.has_images}
        leftovers = journal.add(connection, changes.tenant, with_images)
        answer = result(connection)
        changes.recorded += audit_chain.append(connection, changes.tenant, audit_chain.of_changes(connection, changes))
        return changes, leftovers, answer

    def _store(self, tenant: str, images: Mapping[str, Images]) -> None:
        for face_id, face in images.items():
            if face.thumbnail is not None:
                self._blobs.write(tenant, face_id, "thumbnail", face.thumbnail)
            if face.photograph is not None:
                self._blobs.write(tenant, face_id, "photograph", face.photograph)

    def _undo(self, tenant: str, entries: list[int], images: Mapping[str, Images], step: _Step) -> None:
        if not entries:
            return
        try:
            if step.reached != "commit":  # else the images may belong to faces that exist now
                for face_id in images:
                    self._blobs.delete(tenant, face_id)
            if step.reached != "index down":  # else each further call would wait for its timeout, too
                self._repairer.settle_journal(ids=entries)
                return
        except StoreUnavailable as error:
            log.warning("a failed write is cleaned up later: %s", error)
        self._repairer.give_up(entries)

    def _erase(self, changes: Changes, entries: list[int]) -> None:
        if not entries:
            return
        try:
            for face in changes.drop_faces:
                if face.has_images:
                    self._blobs.delete(changes.tenant, face.id)
            self._database.transact(lambda c: journal.remove(c, entries))
        except StoreUnavailable as error:
            raise StoreUnavailable(
                "The faces are deleted and no search finds them any more, but the store of face images does not "
                "answer; their images will be erased as soon as it does.",
                pending="images",
            ) from error

    def _await_visible(self, indexed: IndexChanges) -> None:
        for model, rows in indexed.upsert.items():
            if rows:
                try:
                    self._index.settle(model, rows[-1].key)
                except StoreUnavailable as error:
                    # The rows are stored; searches see them within the index's own staleness bound of seconds.
                    log.warning("could not wait until a write is searchable: %s", error)


class _Step:
    """How far an attempt came, and what it changed in the index."""

    reached: Literal["start", "index", "index down", "commit"] = "start"
    indexed: IndexChanges = IndexChanges({}, {})
