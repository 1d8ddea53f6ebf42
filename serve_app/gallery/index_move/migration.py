"""Moving the vector index to another place while it serves.

    begin     a command names the target; from then on every process writes rows here and there
    copy      one process copies the rows that were here before, from the records, and compares
    switch    when both hold what the records say and the new place has indexed it, searches go there; the former one is
              kept in step for a while, since other processes notice within a second
    clear     nobody writes to the former place any more, and it is removed

Each step finds by itself what is left to do, so a crash costs nothing but time. Whoever writes attends to the row
that says how far it is (:mod:`serve_app.gallery.sql.records.index_location`), so the copy misses no write. A target
that fails before the switch ends the move, and searches never notice.
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
import time
import uuid
from dataclasses import dataclass

import sqlalchemy as sa

from serve_app.errors import InvalidRequest, StoreUnavailable
from serve_app.gallery.blobs import BlobStore
from serve_app.gallery.index.base import RowKey, VectorIndex
from serve_app.gallery.index.locations import IndexLocation, is_embedded, without_credentials
from serve_app.gallery.index_move.dual_write_index import DualWriteIndex
from serve_app.gallery.repair import Repairer
from serve_app.gallery.sql.database import Database
from serve_app.gallery.sql.records import faces, index_location
from serve_app.gallery.sql.records.index_location import IndexMove, MoveState

log = logging.getLogger(__name__)

KEPT_UP = dt.timedelta(seconds=60)
"""How long a server that was left is searchable after the switch, for processes that have not noticed it."""

LEASE = dt.timedelta(seconds=30)
"""After so long without a sign of life another process takes over."""

STEP_S = 0.25
ROWS = 500
"""Rows that are copied in one transaction, some 50 ms in which SQLite lets nobody else write."""

PATIENCE_S = 60.0
"""How long copying may fail before the move is given up."""

ATTEMPTS = 3
PAUSE_S = 30.0


class IndexMoves:
    """Begins and ends moves, and says how far one is: what the database alone can tell.

    It needs no index, so a command may open it beside a running service.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def row(self) -> IndexMove:
        """How far it is."""
        with self._database.read() as connection:
            return index_location.get(connection)

    def begin(self, configured: str, target: IndexLocation) -> None:
        """Move to a place that is empty and answers; any process of the gallery does the work.

        Args:
            configured: ``storage.milvus_uri`` of the service.

        Raises:
            InvalidRequest: it is there, or on its way.
        """

        def work(connection: sa.Connection) -> None:
            row = index_location.get(connection, "all")
            location = row.location or IndexLocation(configured)
            if location.uri == target.uri:
                raise InvalidRequest(f"The vector index is at {without_credentials(target.uri)} already.")
            if row.state is not MoveState.NONE:
                where = row.other and without_credentials(row.other.uri)
                raise InvalidRequest(
                    f"A move is under way ({row.state}, {where}): wait for it, or end it with 'facegraph index move "
                    "--cancel'."
                )
            fresh = {"configured": configured, "done": 0, "total": 0, "error": "", "worker": None}
            index_location.change(connection, row, MoveState.COPYING, location, target, **fresh)

        self._database.transact(work)

    def cancel(self) -> IndexMove:
        """Give up a copy, or the removal of a place that answers no more; the row as it was.

        Raises:
            InvalidRequest: there is nothing to cancel.
        """

        def work(connection: sa.Connection) -> IndexMove:
            row = index_location.get(connection, "all")
            if row.state is MoveState.COPYING:
                index_location.give_up(connection, row.version, "it was cancelled")
            elif row.state is MoveState.CLEARING:
                index_location.change(connection, row, MoveState.NONE, row.location, None)
            else:
                raise InvalidRequest("There is no move that could be cancelled.")
            return row

        return self._database.transact(work)


@dataclass(slots=True)
class _Copy:
    """How far the copy of one version of the row is."""

    version: int
    total: int
    models: list[str]
    after: RowKey | None = None
    done: int = 0
    attempts: int = 0
    failing_since: float | None = None


class IndexMigrator:
    """Does the work of moves, in steps; one process at a time. Thread-safe."""

    def __init__(self, database: Database, index: DualWriteIndex, blobs: BlobStore) -> None:
        self._database = database
        self._index = index
        self._blobs = blobs
        self._worker = uuid.uuid4().hex
        self._stepping = threading.Lock()
        self._copy: _Copy | None = None
        self._not_before = 0.0

    def warnings(self) -> dict[str, str]:
        """What an operator should know, by code."""
        row = self._index.row
        here = without_credentials(self._index.layout.location.uri)
        found = {}
        if row.other is not None:
            there = without_credentials(row.other.uri)
            found["index_moving"] = (
                f"The vector index moves from {here} to {there}: {row.done} of {row.total} rows are there"
                f"{'; they are being indexed' if 0 < row.total == row.done else ''}."
                if row.state is MoveState.COPYING
                else f"The vector index at {there} is not used any more and is removed in a moment."
            )
        if row.location is not None and self._index.configured != self._index.layout.location.uri:
            found["index_moved"] = (
                f"The vector index is at {here}, where it was moved to, but storage.milvus_uri still says "
                f"{without_credentials(self._index.configured)}: set it to the new place at the next restart."
            )
        return found

    def step(self) -> bool:
        """Do up to :data:`STEP_S` of what is to be done; whether there is more to do right now."""
        if time.monotonic() < self._not_before or not self._stepping.acquire(blocking=False):
            return False
        try:
            return self._step()
        except StoreUnavailable as error:
            log.warning("moving the vector index has to wait: %s", error)
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
        if not self._database.transact(
            lambda connection: index_location.lease(connection, self._worker, now + LEASE, now)
        ):
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
        alone = row.other is not None and is_embedded(row.other.uri)  # one process has it open
        return dt.timedelta(0) if alone else KEPT_UP

    # -- copying

    def _copy_some(self, row: IndexMove) -> bool:
        layout = self._index.layout
        if layout.version != row.version or layout.other is None:
            return True  # the next step follows it
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
            lambda connection: index_location.advance(connection, row.version, min(copy.done, copy.total), copy.total)
        )
        copy.failing_since = None
        return bool(copy.models) or self._finish(row, copy, target, layout.other)

    def _new_copy(self, version: int, target: VectorIndex) -> _Copy:
        with self._database.read() as connection:
            models = faces.models(connection)
            total = sum(faces.count_memberships(connection, model) for model in models)
            firsts = {
                model: faces.index_rows(connection, model, faces.memberships_after(connection, model, None, 1))
                for model in models
            }
        for model, rows in firsts.items():
            # A server takes seconds to make a model's part; here no writer waits for that. Should the face be erased
            # at this moment, the numbers differ in the end and the comparison removes the row.
            target.upsert(model, rows)
        return _Copy(version, total, models)

    def _finish(self, row: IndexMove, copy: _Copy, target: Repairer, index: VectorIndex) -> bool:
        """Compare where the numbers differ, and switch when searches would find all there; whether to go on now."""
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
            now = index_location.get(connection, "all")  # no writer is at work from here on
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
            log.warning("searches use the vector index at %s now", without_credentials(self._index.layout.location.uri))
        elif copy.attempts == ATTEMPTS:
            reason = f"the target holds other rows than the records say, also after {ATTEMPTS} comparisons"
            self._database.transact(lambda connection: index_location.give_up(connection, row.version, reason))
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
                self._database.transact(lambda connection: index_location.give_up(connection, copy.version, reason))
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
