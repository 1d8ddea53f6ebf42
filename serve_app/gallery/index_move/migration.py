"""Moves of the vector index to another location while it serves searches and writes.

    begin     a command names the target; from then on every process writes rows to both locations
    copy      one process writes the rows from before the move to the target, from the records, and compares
    switch    when both locations have the rows that the records say, and the target has built its index of them,
              searches use the target; writes still go to the former location as well for a while, because other
              processes notice the switch within a second
    clear     no process writes to the former location any more, and it is removed

Each step finds out by itself what is left to do, so a crash costs only time. Every writer reads the row that has the
state of the move (:mod:`serve_app.gallery.sql.records.index_location`), so the copy misses no write. If the target
fails before the switch, the move ends without an effect on searches.
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
import time
import uuid
from dataclasses import dataclass

import sqlalchemy as sa

from serve_app.errors import StoreUnavailable
from serve_app.gallery.blobs import BlobStore
from serve_app.gallery.index.base import RowKey, VectorIndex
from serve_app.gallery.index.locations import IndexLocation, is_embedded, without_credentials
from serve_app.gallery.index_move.dual_write_index import DualWriteIndex
from serve_app.gallery.repair import Repairer
from serve_app.gallery.sql.database import Database
from serve_app.gallery.sql.records import faces, index_location
from serve_app.gallery.sql.records.index_location import IndexMove, MoveState
from serve_app.gallery.sql.records.statements import lease
from serve_app.gallery.sql.schema import index_place

log = logging.getLogger(__name__)

KEPT_UP = dt.timedelta(seconds=60)
"""How long a former server stays up to date after the switch, for processes that have not noticed it."""

LEASE = dt.timedelta(seconds=30)
"""After this long without a step of the worker, another process takes over."""

STEP_S = 0.25
"""Seconds of one step."""

ROWS = 500
"""Rows that one transaction copies. It takes about 50 ms, during which SQLite allows no other writer."""

PATIENCE_S = 60.0
"""When copying has failed for this long, the move is given up."""

ATTEMPTS = 3
"""Comparisons after which a target that still has other rows than the records is given up."""

PAUSE_S = 30.0
"""Seconds after which a failed removal of the former location is tried again."""


@dataclass(slots=True)
class _Copy:
    """Progress of the copy for one version of the row.

    Attributes:
        total: rows to copy.
        models: whose rows are not copied completely; the first one is in progress.
        after: last row copied of that model, None before the first one.
        done: rows copied.
        attempts: comparisons made.
        failing_since: monotonic time of the first of the latest failures, None after a success.
    """

    version: int
    total: int
    models: list[str]
    after: RowKey | None = None
    done: int = 0
    attempts: int = 0
    failing_since: float | None = None


class IndexMigrator:
    """Does the work of moves, in steps. One process does it at a time. Thread-safe."""

    def __init__(self, database: Database, index: DualWriteIndex, blobs: BlobStore) -> None:
        self._database = database
        self._index = index
        self._blobs = blobs
        self._worker = uuid.uuid4().hex
        self._stepping = threading.Lock()
        self._copy: _Copy | None = None
        self._not_before = 0.0

    def warnings(self) -> dict[str, str]:
        """Warnings for the operator, by code."""
        row = self._index.row
        current = without_credentials(self._index.layout.location.uri)
        found = {}
        if row.other is not None:
            other = without_credentials(row.other.uri)
            found["index_moving"] = (
                f"The vector index moves from {current} to {other}: {row.done} of {row.total} rows are copied"
                f"{'; they are being indexed' if 0 < row.total == row.done else ''}."
                if row.state is MoveState.COPYING
                else f"The vector index at {other} is no longer used and will be removed soon."
            )
        if row.location is not None and self._index.configured != self._index.layout.location.uri:
            found["index_moved"] = (
                f"The vector index is at {current}, where it was moved to, but storage.milvus_uri still says "
                f"{without_credentials(self._index.configured)}: set it to the new location before the next restart."
            )
        return found

    def step(self) -> bool:
        """Work for up to :data:`STEP_S`; whether there is more to do now."""
        if time.monotonic() < self._not_before or not self._stepping.acquire(blocking=False):
            return False
        try:
            return self._step()
        except StoreUnavailable as error:
            log.warning("the move of the vector index has to wait: %s", error)
            self._note_failure(error)
            return False
        finally:
            self._stepping.release()

    def _step(self) -> bool:
        row = self._index.refresh()
        now = dt.datetime.now(dt.UTC)
        if row.state is MoveState.NONE or row.since is None:
            return False
        if row.state is MoveState.KEPT_UP and now < row.since + self._kept_up(row):
            return False
        if not self._database.transact(lambda c: lease(c, index_place, self._worker, now + LEASE, now)):
            return False
        if row.state is MoveState.COPYING:
            return self._copy_some(row)
        if row.state is MoveState.KEPT_UP:
            self._change(row, MoveState.CLEARING, row.location, row.other)
            return True
        self._clear(row)
        return False

    @staticmethod
    def _kept_up(row: IndexMove) -> dt.timedelta:
        only_here = row.other is not None and is_embedded(row.other.uri)  # only one process can have it open
        return dt.timedelta(0) if only_here else KEPT_UP

    # -- copying

    def _copy_some(self, row: IndexMove) -> bool:
        layout = self._index.layout
        if layout.version != row.version or layout.other is None:
            return True  # the next step has the new layout
        target = Repairer(self._database, layout.other, self._blobs)
        if self._copy is None or self._copy.version != row.version:
            self._copy = self._new_copy(row.version, layout.other)
        copy = self._copy
        until = time.monotonic() + STEP_S
        while copy.models:
            with self._database.read() as connection:
                keys = faces.memberships_after(connection, copy.models[0], copy.after, ROWS)
            if keys:
                target.add(copy.models[0], keys)
                copy.done, copy.after = copy.done + len(keys), keys[-1]
            else:
                copy.models, copy.after = copy.models[1:], None
            if time.monotonic() >= until:
                break
        self._database.transact(
            lambda c: index_location.advance(c, row.version, min(copy.done, copy.total), copy.total)
        )
        copy.failing_since = None
        return bool(copy.models) or self._finish(row, copy, target, layout.other)

    def _new_copy(self, version: int, target: VectorIndex) -> _Copy:
        with self._database.read() as connection:
            models = faces.models(connection)
            total = sum(faces.count_memberships(connection, model) for model in models)
            first_rows = {
                model: faces.index_rows(connection, model, faces.memberships_after(connection, model, None, 1))
                for model in models
            }
        for model, rows in first_rows.items():
            # A server takes seconds to create a model's part. This row is written outside a transaction, so that no
            # writer waits for that. If the face is erased at this moment, the final comparison removes the row.
            target.upsert(model, rows)
        return _Copy(version, total, models)

    def _finish(self, row: IndexMove, copy: _Copy, target: Repairer, index: VectorIndex) -> bool:
        """Compare models whose numbers of rows differ, and switch when the target is complete; whether to go on now."""
        with self._database.read() as connection:
            expected = {model: faces.count_memberships(connection, model) for model in faces.models(connection)}
        for model in sorted({*expected, *index.models()}):
            if index.count(model) != expected.get(model, 0):
                target.compare(model)
        index.maintain()
        if index.unindexed():
            return False
        index.warm_up()
        copy.attempts += 1

        def switch(connection: sa.Connection) -> bool:
            now = index_location.get(connection, "all")  # from here on, no writer is active
            if now.version != row.version:
                return True
            for model in {*faces.models(connection), *index.models()}:
                if faces.count_memberships(connection, model) != index.count(model):
                    return False
            index_location.change(
                connection, now, MoveState.KEPT_UP, now.other, now.location, done=copy.total, worker=None
            )
            return True

        if self._database.transact(switch):
            self._index.refresh()
            log.warning("searches now use the vector index at %s", without_credentials(self._index.layout.location.uri))
        elif copy.attempts == ATTEMPTS:
            reason = f"the target has other rows than the records say, also after {ATTEMPTS} comparisons"
            self._database.transact(lambda c: index_location.give_up(c, row.version, reason))
        return True

    def _note_failure(self, error: StoreUnavailable) -> None:
        self._not_before = time.monotonic() + 1.0
        copy = self._copy
        if copy is None:
            return
        if copy.failing_since is None:
            copy.failing_since = time.monotonic()
        if time.monotonic() - copy.failing_since > PATIENCE_S:
            reason = str(error)
            self._copy = None
            try:
                self._database.transact(lambda c: index_location.give_up(c, copy.version, reason))
            except StoreUnavailable:
                self._copy = copy

    # -- clearing

    def _clear(self, row: IndexMove) -> None:
        if row.other is None or not self._index.drained():
            return
        try:
            self._index.backends.discard(row.other)
        except StoreUnavailable:
            self._not_before = time.monotonic() + PAUSE_S
            raise
        self._change(row, MoveState.NONE, row.location, None)
        self._copy = None

    def _change(
        self, row: IndexMove, state: MoveState, location: IndexLocation | None, other: IndexLocation | None
    ) -> None:
        def work(connection: sa.Connection) -> None:
            if index_location.get(connection, "all").version == row.version:
                index_location.change(connection, row, state, location, other, worker=None)

        self._database.transact(work)
        self._index.refresh()
