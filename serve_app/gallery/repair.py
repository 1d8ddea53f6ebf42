"""Repairs of index and images, so that they agree with the records: after a crash or an outage, or from scratch.

A repair is safe while other writers are active, in this process and in others. It first locks, in the records, the
faces that it repairs. A face that a living writer is about to change has a journal entry, and is left to that writer.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from serve_app.gallery.blobs import BlobStore
from serve_app.gallery.checks import is_id
from serve_app.gallery.index.base import RowKey, VectorIndex
from serve_app.gallery.sql.database import Database
from serve_app.gallery.sql.records import faces, journal, secondary_templates
from serve_app.gallery.sql.records.statements import BATCH, batches

log = logging.getLogger(__name__)

IN_FLIGHT = dt.timedelta(seconds=60)
"""Journal entries younger than this are assumed to belong to a living writer."""

COMPARE_PERIOD_S = 5.0
"""Seconds between two comparisons of index and records after calls to the index failed."""

MAX_GIVEN_UP = 10_000
"""Journal entries that are remembered for an immediate repair; others wait until they are :data:`IN_FLIGHT` old."""

Progress = Callable[[int, int], None]
"""Called with the number of rows done and the total."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """Result of a recovery: numbers of journal entries settled, and of index rows added, removed and changed."""

    settled: int = 0
    added: int = 0
    removed: int = 0
    changed: int = 0


class Repairer:
    """Repairs the index and the images of one gallery."""

    def __init__(self, database: Database, index: VectorIndex, blobs: BlobStore) -> None:
        self._database = database
        self._index = index
        self._blobs = blobs
        self._given_up: set[int] = set()
        self._doubtful = False
        self._compare_due = 0.0

    def give_up(self, entries: Sequence[int]) -> None:
        """Hand the journal entries of a failed writer over to :meth:`settle_given_up`."""
        if len(self._given_up) < MAX_GIVEN_UP:
            self._given_up.update(entries)

    def settle_given_up(self) -> int:
        """Settle the journal entries that writers of this process left because a store was away; the number settled.

        Raises StoreUnavailable: the store is still away.
        """
        settled = 0
        for batch in batches(sorted(self._given_up)):
            settled += self.settle_journal(ids=batch)
            self._given_up.difference_update(batch)
        return settled

    def settle_doubts(self, thorough: bool) -> None:
        """If calls to the index have failed, compare it with the records, every few seconds until that succeeds.

        ``thorough`` is as for :meth:`recover`. Raises StoreUnavailable: the store is still away.
        """
        self._doubtful = self._index.doubtful() or self._doubtful
        if self._doubtful and time.monotonic() >= self._compare_due:
            self._compare_due = time.monotonic() + COMPARE_PERIOD_S
            self.recover(alone=False, thorough=thorough)
            self._doubtful = False

    def settle_journal(self, age: dt.timedelta = IN_FLIGHT, ids: Sequence[int] | None = None) -> int:
        """Make index and images agree with the records for the faces in the journal, and remove their entries.

        Only entries that are at least of this age; or only those with these ids, of any age. Returns the number of
        entries settled. If it raises StoreUnavailable, the remaining entries stay in the journal.
        """
        settled = 0
        before = dt.datetime.now(dt.UTC) - age if ids is None else None
        while True:
            with self._database.read() as connection:
                if journal.is_empty(connection):
                    return settled
            with self._database.write() as connection:
                self._index.attend(connection)
                entries = journal.pending(connection, BATCH, before, ids)
                tenant_of = {entry.face_id: entry.tenant_id for entry in entries}
                faces.lock(connection, tenant_of)
                secondary = secondary_templates.models_of(connection, tenant_of)
                # An entry names one model; during a change of embedder, two models have rows of the face.
                models = {entry.model for entry in entries} | {model for each in secondary.values() for model in each}
                for model in sorted(models | set(self._index.models())):
                    self._agree(connection, model, tenant_of)
                self._erase_images(connection, tenant_of)
                journal.remove(connection, [entry.id for entry in entries])
            settled += len(entries)
            if len(entries) < BATCH:
                return settled

    def _agree(self, connection: sa.Connection, model: str, face_ids: Iterable[str]) -> None:
        rows = faces.index_rows(connection, model, faces.memberships(connection, face_ids))
        right = {row.key for row in rows}
        self._index.delete(model, sorted(self._index.rows_of(model, face_ids) - right))
        self._index.upsert(model, rows)

    def _erase_images(self, connection: sa.Connection, tenant_of: Mapping[str, str]) -> None:
        existing = {row.id for row in faces.of_ids(connection, tenant_of)}
        for face_id, tenant in tenant_of.items():
            if face_id not in existing:
                self._blobs.delete(tenant, face_id)

    def recover(self, alone: bool, thorough: bool) -> Recovery:
        """Settle the journal, then compare the index with the records. Done at a start.

        Args:
            alone: no other process writes to this gallery, so every journal entry belongs to a dead writer.
            thorough: compare row by row, not only the numbers of rows.
        """
        settled = self.settle_journal(dt.timedelta(0) if alone else IN_FLIGHT)
        added = removed = 0
        with self._database.read() as connection:
            models = sorted({*faces.models(connection), *self._index.models()})
        for model in models:
            with self._database.read() as connection:
                expected = faces.count_memberships(connection, model)
                dimension = faces.dimension(connection, model)
            if dimension is not None and self._index.dimension(model) not in (None, dimension):
                log.error("the vector index has another dimension than %s: it is built anew from the records", model)
                added += self.reindex(model)
            elif thorough or expected != self._index.count(model):
                more, fewer = self.compare(model)
                added, removed = added + more, removed + fewer
        if settled or added or removed:
            log.warning(
                "index repaired: %d journal entries settled, %d rows added, %d removed", settled, added, removed
            )
        return Recovery(settled, added, removed)

    def compare(self, model: str) -> tuple[int, int]:
        """Bring a model's rows in line with the records, row by row; the numbers of rows added and removed."""
        with self._database.read() as connection:
            right = set(faces.all_memberships(connection, model))
        present = set(self._index.keys(model))
        if not all(is_id(part) for key in present for part in key):
            log.error("the vector index has rows that are not ours: it is built anew from the records")
            return self.reindex(model), 0
        added = sum(self.add(model, batch) for batch in batches(sorted(right - present)))
        removed = sum(self._remove(model, batch) for batch in batches(sorted(present - right)))
        return added, removed

    def add(self, model: str, keys: Sequence[RowKey]) -> int:
        """Write those of the rows that are memberships in the records; the number written."""
        with self._database.write() as connection:
            self._index.attend(connection)
            faces.lock(connection, {key.face_id for key in keys})
            size = self._index.dimension(model) or faces.dimension(connection, model)
            rows = faces.index_rows(connection, model, keys, size)
            self._index.upsert(model, rows)
        return len(rows)

    def _remove(self, model: str, keys: Sequence[RowKey]) -> int:
        with self._database.write() as connection:
            self._index.attend(connection)
            faces.lock(connection, {key.face_id for key in keys})
            # First the journal, then the records: as long as a writer's change is not visible in the records, its
            # journal entry is visible.
            busy = journal.faces_with_entries(connection, {key.face_id for key in keys})
            known = {row.key for row in faces.index_rows(connection, model, keys)}
            stray = [key for key in keys if key not in known and key.face_id not in busy]
            self._index.delete(model, stray)
        return len(stray)

    def reindex(self, model: str | None = None, progress: Progress | None = None) -> int:
        """Drop the index, or the part of one model, and rebuild it from the records; the number of rows.

        Searches find fewer persons until it is done.
        """
        with self._database.read() as connection:
            models = sorted({*faces.models(connection), *self._index.models()}) if model is None else [model]
            total = sum(faces.count_memberships(connection, name) for name in models)
        done = 0
        for name in models:
            self._index.drop(name)
            with self._database.read() as connection:
                keys = list(faces.all_memberships(connection, name))
            for batch in batches(keys):
                done += self.add(name, batch)
                if progress is not None:
                    progress(done, total)
        self._index.maintain()
        return done
