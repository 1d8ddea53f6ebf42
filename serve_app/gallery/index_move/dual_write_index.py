"""The vector index at its present location, and during a move at two: writes go to both, searches to one.

Every process follows the row in the records that says where the index is: at the start of each transaction that
changes the index (:meth:`DualWriteIndex.attend`), and every second for its searches. Searches go to one place. Changes
are made in both while there are two, so that the place to come lacks nothing of what happens while rows are copied, and
the former one finds what is right for processes that have not noticed the switch.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from serve_app.domain import Vectors
from serve_app.errors import ConfigurationError, StoreUnavailable
from serve_app.gallery.index.base import Hit, IndexRow, RowKey, VectorIndex
from serve_app.gallery.index.locations import IndexBackends, IndexLocation
from serve_app.gallery.sql.database import Database
from serve_app.gallery.sql.records import index_location
from serve_app.gallery.sql.records.index_location import IndexMove, MoveState

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Layout:
    """What a version of the row means in this process.

    Attributes:
        users: calls that are at work with its indexes.
    """

    version: int
    location: IndexLocation
    current: VectorIndex
    other_location: IndexLocation | None
    other: VectorIndex | None
    state: MoveState
    users: int = 0

    @property
    def indexes(self) -> list[VectorIndex]:
        """One, or two."""
        return [self.current] if self.other is None else [self.current, self.other]


class DualWriteIndex:
    """See :class:`~serve_app.gallery.index.base.VectorIndex`.

    Attributes:
        row: as it was found in the last second or so.
        places: where it can be.

    Args:
        configured: where the settings say that the index is; a place that it was moved to from there takes precedence.

    Raises:
        ConfigurationError, StoreUnavailable: the place cannot be opened.
    """

    def __init__(self, database: Database, backends: IndexBackends, configured: IndexLocation) -> None:
        self._database = database
        self.backends = backends
        self._configured = configured
        self._lock = threading.RLock()
        self._counting = threading.Lock()
        self._former: list[Layout] = []
        self._failed: tuple[int, str] | None = None
        self.row = database.transact(lambda connection: index_location.settled(connection, configured.uri))
        self._layout = self._open(self.row, None)
        self.refresh()

    @property
    def layout(self) -> Layout:
        """Where it is."""
        return self._layout

    @property
    def configured(self) -> str:
        """Where the settings say that it is."""
        return self._configured.uri

    # -- following the row

    def attend(self, connection: sa.Connection) -> None:
        """See :class:`VectorIndex`."""
        self._follow(index_location.get(connection, "share"))

    def refresh(self) -> IndexMove:
        """Follow the row, and give a move up whose target failed here; the row."""
        if self._failed is not None:
            version, reason = self._failed
            self._database.transact(lambda connection: index_location.give_up(connection, version, reason))
            self._failed = None
        with self._database.read() as connection:
            row = index_location.get(connection)
        self._follow(row)
        self.drained()
        self.row = row
        return row

    def _follow(self, row: IndexMove) -> None:
        if row.version <= self._layout.version:
            return  # also from an older one: a transaction may have been faster than a look at the row
        with self._lock:
            if row.version > self._layout.version:
                layout = self._open(row, self._layout)
                with self._counting:
                    self._former.append(self._layout)
                    self._layout = layout

    def drained(self) -> bool:
        """Close what was left behind and nobody is at work with any more; whether that is all of it."""
        with self._lock:
            with self._counting:
                idle = [layout for layout in self._former if not layout.users]
                self._former = [layout for layout in self._former if layout.users]
                used = [index for layout in (self._layout, *self._former) for index in layout.indexes]
            for index in {index for layout in idle for index in layout.indexes if index not in used}:
                index.close()
            return not self._former

    @contextmanager
    def _using(self) -> Iterator[Layout]:
        """The layout, whose indexes stay open meanwhile.

        Changes need no such care: the row does not change while a transaction that attends to it lasts.
        """
        with self._counting:
            layout = self._layout
            layout.users += 1
        try:
            yield layout
        finally:
            with self._counting:
                layout.users -= 1

    def _open(self, row: IndexMove, former: Layout | None) -> Layout:
        opened = {} if former is None else {former.location.uri: former.current}
        if former is not None and former.other is not None and former.other_location is not None:
            opened[former.other_location.uri] = former.other
        location = row.location or self._configured
        current = opened.get(location.uri) or self.backends.open(self._with_token(location))
        other = None
        if row.other is not None and row.state is not MoveState.CLEARING:
            try:
                other = opened.get(row.other.uri) or self.backends.open(self._with_token(row.other))
            except (ConfigurationError, StoreUnavailable) as error:
                log.warning("index move: %s", error)
                if row.state is MoveState.COPYING:
                    self._failed = row.version, str(error)
                    if former is not None:
                        raise StoreUnavailable("The place that the index moves to does not answer.") from error
        return Layout(row.version, location, current, row.other, other, row.state)

    def _with_token(self, location: IndexLocation) -> IndexLocation:
        return location if location.token is not None else IndexLocation(location.uri, self._configured.token)

    # -- rows

    def upsert(self, model: str, rows: Sequence[IndexRow]) -> None:
        """See :class:`VectorIndex`."""
        layout = self._layout
        layout.current.upsert(model, rows)
        if layout.other is not None:
            with self._keeping_up(layout):
                layout.other.upsert(model, rows)

    def delete(self, model: str, keys: Sequence[RowKey]) -> None:
        """See :class:`VectorIndex`."""
        layout = self._layout
        layout.current.delete(model, keys)
        if layout.other is not None:
            with self._keeping_up(layout):
                layout.other.delete(model, keys)

    @contextmanager
    def _keeping_up(self, layout: Layout) -> Iterator[None]:
        try:
            yield
        except StoreUnavailable as error:
            self._note_failure(layout, error)
            if layout.state is MoveState.COPYING:  # this write is refused, the next ones do without the target
                raise
            log.warning("the former vector index does not follow any more: %s", error)

    def _note_failure(self, layout: Layout, error: StoreUnavailable) -> None:
        if layout.state is MoveState.COPYING:
            self._failed = layout.version, str(error)

    def settle(self, model: str, key: RowKey) -> None:
        """See :class:`VectorIndex`."""
        with self._using() as layout:
            layout.current.settle(model, key)
            if layout.other is not None and layout.state is MoveState.KEPT_UP:  # other processes may search there
                with suppress(StoreUnavailable):
                    layout.other.settle(model, key)

    def search(self, model: str, probes: Vectors, collections: Sequence[str], limit: int) -> list[list[Hit]]:
        """See :class:`VectorIndex`."""
        with self._using() as layout:
            return layout.current.search(model, probes, collections, limit)

    def warm_up(self) -> None:
        """See :class:`VectorIndex`."""
        with self._using() as layout:
            layout.current.warm_up()

    def keys(self, model: str) -> Iterator[RowKey]:
        """See :class:`VectorIndex`; where searches go."""
        with self._using() as layout:
            yield from layout.current.keys(model)

    def rows_of(self, model: str, face_ids: Iterable[str]) -> set[RowKey]:
        """See :class:`VectorIndex`; in either place."""
        face_ids = list(face_ids)
        with self._using() as layout:
            found = layout.current.rows_of(model, face_ids)
            if layout.other is not None:
                try:
                    found |= layout.other.rows_of(model, face_ids)
                except StoreUnavailable as error:  # never passed over: somebody may be told that nothing is left
                    self._note_failure(layout, error)
                    raise
            return found

    def count(self, model: str) -> int:
        """See :class:`VectorIndex`; where searches go."""
        with self._using() as layout:
            return layout.current.count(model)

    # -- parts

    def models(self) -> list[str]:
        """See :class:`VectorIndex`; in either place."""
        with self._using() as layout:
            return sorted({model for index in layout.indexes for model in index.models()})

    def drop(self, model: str) -> None:
        """See :class:`VectorIndex`; in both places."""
        with self._using() as layout:
            for index in layout.indexes:
                index.drop(model)

    # -- life

    def maintain(self) -> None:
        """See :class:`VectorIndex`."""
        self.refresh()
        with self._using() as layout:
            layout.current.maintain()
            if layout.other is not None:
                with suppress(StoreUnavailable):  # which whoever writes there will notice
                    layout.other.maintain()

    def doubtful(self) -> bool:
        """See :class:`VectorIndex`; of where searches go: a failing target ends the move."""
        return self._layout.current.doubtful()

    def facts(self) -> Mapping[str, Any]:
        """See :class:`VectorIndex`."""
        with self._using() as layout:
            return layout.current.facts()

    def capacity(self) -> int | None:
        """See :class:`VectorIndex`."""
        return self._layout.current.capacity()

    def unindexed(self) -> int:
        """See :class:`VectorIndex`; where searches go."""
        with self._using() as layout:
            return layout.current.unindexed()

    def close(self) -> None:
        """See :class:`VectorIndex`."""
        for index in {index for layout in (self._layout, *self._former) for index in layout.indexes}:
            index.close()
