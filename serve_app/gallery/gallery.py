"""The gallery: all that is enrolled, as one thread-safe object with the methods of ``Matcher``, synchronous."""

from __future__ import annotations

import datetime as dt
import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from serve_app.domain import ErasureReceipt
from serve_app.errors import StoreUnavailable
from serve_app.gallery.archive import ArchiveReader, Imported, import_archive
from serve_app.gallery.blobs import BlobStore
from serve_app.gallery.embedder_change.change import EmbedderChanges
from serve_app.gallery.faces import Faces
from serve_app.gallery.index.base import VectorIndex
from serve_app.gallery.index_check import DIFFERED, IndexCheck
from serve_app.gallery.index_move.migration import IndexMigrator
from serve_app.gallery.jobs.bulk_uploads import BulkUploads
from serve_app.gallery.jobs.tasks import Tasks
from serve_app.gallery.persons import Persons
from serve_app.gallery.privacy.audit_log import KEPT, AuditQueue, Privacy
from serve_app.gallery.privacy.erasure import Eraser
from serve_app.gallery.privacy.expiry_clock import ExpiryClock
from serve_app.gallery.privacy.retention import Retention
from serve_app.gallery.privacy.tenant_erasure import erase_tenant
from serve_app.gallery.repair import Progress, Recovery, Repairer
from serve_app.gallery.sql.database import Database
from serve_app.gallery.sql.records import collections, tasks
from serve_app.gallery.sql.signing import load_signer
from serve_app.gallery.unassigned_faces import DEFAULT_LIFETIME, UnassignedFaces
from serve_app.gallery.unknowns import Unknowns
from serve_app.gallery.writes.writer import Writer
from serve_app.score import Calibration

log = logging.getLogger(__name__)

JOURNAL_PERIOD_S = 30.0
EXPIRY_PERIOD_S = 60.0
CHANGE_PERIOD_S = 5.0
"""Seconds between the parts of maintenance that do not run every time."""

SCRUB_PERIOD_S = 20.0
"""Seconds after which what was deleted is removed from the stores' files as well."""

SCRUB_REST = 20
"""Rest after such a removal, in multiples of the time that it took: it reads and writes much in large galleries."""

OUTGROWN = (
    "The gallery has {faces} faces, more than the {capacity} that milvus-lite is meant for (each start and each search "
    "reads all of them): move the index to a Milvus server with 'facegraph index move --to URL'."
)


class Gallery(Persons, Faces, UnassignedFaces, Unknowns, Tasks, BulkUploads, Privacy, EmbedderChanges, Retention):
    """Records, index and images as one store.

    Implements :class:`~serve_app.contracts.matcher.Matcher`, synchronously. The contract documents the methods; the
    docstrings here only say what differs from it or adds to it. Every method raises ``StoreUnavailable`` when a store
    cannot be reached.

    Args:
        database, index, blobs: the opened stores; the gallery closes them.
        calibrations: model id -> calibration, for all models that searches use.
        alone: whether no other process writes to these stores.
        lifetime: of unassigned faces that are in no collection.
        audit_kept: how long entries of the audit log are kept.
        allow_untraced: whether a search is allowed to be left out of the audit log.
        migrator: moves the index to another location; None if it cannot move.
    """

    def __init__(
        self,
        database: Database,
        index: VectorIndex,
        blobs: BlobStore,
        calibrations: Mapping[str, Calibration],
        alone: bool,
        lifetime: dt.timedelta = DEFAULT_LIFETIME,
        audit_kept: dt.timedelta = KEPT,
        allow_untraced: bool = True,
        migrator: IndexMigrator | None = None,
    ) -> None:
        super().__init__()
        self._database = database
        self._calibrations = calibrations
        self._index = index
        self._blobs = blobs
        self._alone = alone
        self._lifetime = lifetime
        self._migrator = migrator
        self._logged_warnings: set[str] = set()
        self._repairer = Repairer(database, index, blobs)
        self._index_check = IndexCheck(database, index)
        self._writer = Writer(database, index, blobs, self._repairer)
        self._signer = load_signer(database)
        self._eraser = Eraser(database, index, blobs, self._writer, self._repairer, self._signer)
        self._audit = AuditQueue(database)
        self._audit_kept = audit_kept
        self._clock = ExpiryClock(database)
        self._allow_untraced = allow_untraced
        self._journal_due = time.monotonic() + JOURNAL_PERIOD_S
        self._expiry_due = time.monotonic() + EXPIRY_PERIOD_S
        self._change_due = time.monotonic() + CHANGE_PERIOD_S
        self._scrub_due = time.monotonic() + SCRUB_PERIOD_S
        self._maintaining = threading.Lock()

    def ready(self) -> dict[str, Any]:
        """Kinds and versions of the stores, counts of collections and memberships over all tenants, warnings by code.

        Cheap. Raises StoreUnavailable if a store does not answer.
        """
        with self._database.read() as connection:
            collection_count, person_count, face_count = collections.totals(connection)
        warnings = {} if self._migrator is None else self._migrator.warnings()
        capacity = self._index.capacity()
        if capacity is not None and face_count > capacity:
            warnings["index_outgrown"] = OUTGROWN.format(faces=face_count, capacity=capacity)
        if self._clock.doubt is not None:
            warnings["clock_doubted"] = self._clock.doubt
        if self._index_check.differed:
            warnings["index_differed"] = DIFFERED.format(rows=self._index_check.differed)
        return {
            "index": dict(self._index.facts()),
            "database": {"kind": self._database.kind},
            "collections": collection_count,
            "persons": person_count,
            "faces": face_count,
            "warnings": warnings,
        }

    def _log_warnings(self) -> None:
        """Log the warnings of :meth:`ready`; each is logged once for as long as it lasts. Raises StoreUnavailable."""
        found: dict[str, str] = self.ready()["warnings"]
        for code in found.keys() - self._logged_warnings:
            log.warning("%s", found[code])
        self._logged_warnings = set(found)

    def maintain(self) -> None:
        """Periodic maintenance; call it about every second. An outage of a store is logged, and the rest waits."""
        if not self._maintaining.acquire(blocking=False):
            return
        try:
            self._audit.flush()  # first, so that it also happens while the index is away
            if time.monotonic() >= self._scrub_due:
                self.scrub()
            self._index.maintain()
            self._repairer.settle_given_up()
            self._repairer.settle_doubts(thorough=self._alone)
            self._index_check.step()
            if time.monotonic() >= self._journal_due:
                self._journal_due = time.monotonic() + JOURNAL_PERIOD_S
                self.retry_journal()
            if time.monotonic() >= self._expiry_due:
                self._expiry_due = time.monotonic() + EXPIRY_PERIOD_S
                now = self._clock.now()
                if now is not None:
                    self.expire_faces(now)
                    self.expire_persons(now)
                    self.forget_tasks(now)
                    self.forget_audit(now, self._audit_kept)
                self.erase_uploads()
                self.forget_unknowns()
                self._log_warnings()
            if time.monotonic() >= self._change_due:
                while self.finish_change() and time.monotonic() < self._change_due + CHANGE_PERIOD_S:
                    continue
                self._change_due = time.monotonic() + CHANGE_PERIOD_S
        except StoreUnavailable as error:
            log.warning("maintenance: %s", error)
        finally:
            self._maintaining.release()

    def scrub(self) -> None:
        """Remove what was deleted from the files of the embedded stores. Part of maintenance.

        A deletion alone leaves data in write-ahead logs, in unused parts of pages, and in files of the index. Raises
        StoreUnavailable.
        """
        began = time.monotonic()
        self._scrub_due = began + SCRUB_PERIOD_S
        done = self._database.scrub()
        self._index.scrub()
        now = time.monotonic()
        self._scrub_due = now + max(SCRUB_PERIOD_S if done else 1.0, SCRUB_REST * (now - began))

    def move_index(self) -> bool:
        """Do one step, a fraction of a second, of moving the index; False if there is nothing to do now."""
        return self._migrator is not None and self._migrator.step()

    def retry_journal(self) -> int:
        """Repair faces that an outage or a crash of another process left incomplete; the number of journal entries."""
        return self._repairer.settle_journal()

    def recover(self) -> Recovery:
        """Settle the journal, and bring the index in line with the records. Called at a start."""
        self._database.erased = True  # by an earlier process, which may have crashed before it could scrub the files
        if self._alone:
            self._database.transact(tasks.release)
        done = self._repairer.recover(self._alone, thorough=self._alone)
        done = replace(done, changed=self._index_check.start())
        self._clock.now()  # what it shows from now on is compared with this
        self._log_warnings()
        return done

    def reindex(self, model: str | None = None, progress: Progress | None = None) -> int:
        """Drop the index, or the part of one model, and rebuild it from the records; the number of rows."""
        return self._repairer.reindex(model, progress)

    def restore(
        self, archive: ArchiveReader, with_keys: bool = False, sizes: Mapping[str, int] | None = None
    ) -> Imported:
        """See :func:`~serve_app.gallery.archive.import_archive`."""
        return import_archive(self._database, self._writer, archive, with_keys, sizes=sizes)

    def erase_tenant(self, tenant: str) -> ErasureReceipt:
        """See :func:`~serve_app.gallery.privacy.tenant_erasure.erase_tenant`."""
        self._audit.flush()
        return erase_tenant(self._database, self._index, self._blobs, self._writer, self._signer, tenant)

    def close(self) -> None:
        """Write queued entries of the audit log; release files, locks, threads and connections."""
        try:
            self._audit.flush()
        except StoreUnavailable as error:
            log.error("queued entries of the audit log are lost: %s", error)
        try:
            self._index.scrub()
            if self._database.erased:
                self._database.scrub()
        except StoreUnavailable as error:
            log.warning("what was deleted is removed from the stores' files after the next start: %s", error)
        self._index.close()
        self._database.close()
