"""The transaction over records, index and images.

    1. read      find out what would change, and whether it is allowed: a refused request writes nothing
    2. journal   insert an entry for each face whose index rows or images will change (committed)
    3. images    write those of new faces
    4. commit    one SQL transaction: remove the journal entries, write the records, then the index, while the records
                 can still be rolled back
    5. images    erase those of dropped faces

When the index fails in step 4, the records are rolled back and nothing was written. When the connection to the
database is lost during the commit itself, it is unknown whether the transaction was committed, until the database
answers again: if it was, the journal entries are gone. A crash at any point leaves journal entries that name the faces
to check, and the records say what is right. Step 4 removes the journal entries first: if one of them is gone, a repair
took it because it considered this writer dead, and the writer starts again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Literal, Protocol, TypeVar

import sqlalchemy as sa

from serve_app.errors import StoreUnavailable
from serve_app.gallery.blobs import BlobStore
from serve_app.gallery.index.base import VectorIndex
from serve_app.gallery.index_check import IndexCheck
from serve_app.gallery.repair import Repairer
from serve_app.gallery.sql.database import Database, LostRace, retried
from serve_app.gallery.sql.records import audit_chain, faces, journal
from serve_app.gallery.sql.records import changes as change_records
from serve_app.gallery.sql.records.changes import Changes
from serve_app.gallery.writes.secondary_templates import IndexChanges, index_changes, of_models_in_use
from serve_app.score import Calibration

log = logging.getLogger(__name__)

T = TypeVar("T")

Planned = tuple[Changes, Callable[[sa.Connection], T]]
"""What to change, and a function that reads the result afterwards."""

Plan = Callable[[sa.Connection], Planned[T]]
"""A function that reads (and locks) what it needs, and raises an error if the request must be refused. It is called
more than once for one request."""


class Images(Protocol):
    """Images of a face; None for those that must not be stored."""

    @property
    def thumbnail(self) -> bytes | None: ...

    @property
    def photograph(self) -> bytes | None: ...


class Writer:
    """Executes plans; see the module."""

    def __init__(self, database: Database, index: VectorIndex, blobs: BlobStore, repairer: Repairer) -> None:
        self._database = database
        self._index = index
        self._blobs = blobs
        self._repairer = repairer

    def run(self, plan: Plan[T], images: Mapping[str, Images] | None = None) -> T:
        """Execute a plan, completely or not at all; ``images`` are those of new faces to store, by face id.

        If StoreUnavailable is raised, nothing was written, with two exceptions. If only the erasure of images failed,
        the records are deleted and the erasure is completed later (``details["pending"]``). If the database was lost
        during the commit, everything or nothing was written (``details["outcome"]`` is ``unknown``).
        """
        return retried(lambda: self._attempt(plan, images or {}))

    def _attempt(self, plan: Plan[T], images: Mapping[str, Images]) -> T:
        with self._database.read() as connection:
            changes, _ = plan(connection)
        intended = changes.touched()
        entries: list[int] = []
        if intended:
            entries = self._database.transact(lambda c: journal.add(c, changes.tenant, intended))
        progress = _Progress()
        try:
            self._store(changes.tenant, images)
            with self._database.write() as connection:
                changes, leftovers, answer = self._commit(connection, plan, entries, intended, progress)
                progress.reached = "commit"
        except Exception as error:
            self._undo(changes.tenant, entries, images, progress)
            if progress.reached == "commit" and isinstance(error, StoreUnavailable) and not isinstance(error, LostRace):
                raise StoreUnavailable(
                    "The connection to the database was lost during the commit. The change was made completely or not "
                    "at all; read the data to find out, as soon as the database answers again.",
                    outcome="unknown",
                ) from error
            raise
        self._erase(changes, leftovers)
        self._await_visible(progress.indexed)
        return answer

    def _commit(
        self,
        connection: sa.Connection,
        plan: Plan[T],
        entries: list[int],
        intended: Mapping[str, str],
        progress: _Progress,
    ) -> tuple[Changes, list[int], T]:
        if journal.remove(connection, entries) != len(entries):
            raise LostRace("The request took so long that a repair took over its journal entries; try again.")
        changes, result = plan(connection)
        if not changes.touched().keys() <= intended.keys():
            raise LostRace("The gallery changed while the request was being processed; try again.")
        faces.lock(connection, changes.touched())
        changes.templates = of_models_in_use(connection, changes.templates)
        indexed = progress.indexed = index_changes(connection, changes)
        counts = change_records.write(connection, changes)
        progress.reached = "index"
        try:
            self._index.attend(connection)
            for model, keys in indexed.delete.items():
                self._index.delete(model, keys)
            for model, rows in indexed.upsert.items():
                self._index.upsert(model, rows)
        except StoreUnavailable:
            progress.reached = "index down"
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

    def _undo(self, tenant: str, entries: list[int], images: Mapping[str, Images], progress: _Progress) -> None:
        if not entries:
            return
        try:
            if progress.reached != "commit":  # otherwise the images may belong to faces that exist now
                for face_id in images:
                    self._blobs.delete(tenant, face_id)
            if progress.reached != "index down":  # otherwise each further call would wait for its timeout as well
                self._repairer.settle_journal(ids=entries)
                return
        except StoreUnavailable as error:
            log.warning("the cleanup after a failed write has to wait: %s", error)
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
                "The faces are deleted and no search finds them any more, but the images store does not answer; their "
                "images will be erased as soon as it does.",
                pending="images",
            ) from error

    def _await_visible(self, indexed: IndexChanges) -> None:
        for model, rows in indexed.upsert.items():
            if rows:
                try:
                    self._index.settle(model, rows[-1].key)
                except StoreUnavailable as error:
                    # The rows are stored; searches see them within the index's staleness bound, which is seconds.
                    log.warning("could not wait until a write became searchable: %s", error)


class Stores:
    """What the parts of ``Gallery`` share. ``_calibrations`` has those of all models that searches use, by model id."""

    _database: Database
    _index: VectorIndex
    _blobs: BlobStore
    _writer: Writer
    _index_check: IndexCheck
    _calibrations: Mapping[str, Calibration]


class _Progress:
    """How far an attempt has come, and what it changes in the index."""

    reached: Literal["start", "index", "index down", "commit"] = "start"
    indexed: IndexChanges = IndexChanges({}, {})
