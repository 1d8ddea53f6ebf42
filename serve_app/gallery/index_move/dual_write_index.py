"""The vector index at one location, or during a move at two: writes go to both, searches to one.

Every process follows the row in the records that says where the index is: at the start of each transaction that changes
the index (:meth:`DualWriteIndex.attend`), and every second for its searches. Writes go to both locations during a move,
for two reasons: the target misses no change while rows are copied, and after the switch the former location still gives
correct results to processes that have not noticed the switch yet.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

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
    """The opened indexes for one version of the row.

    Attributes:
        version, state: of the row.
        location, current: where searches go, and the index there.
        other_location, other: the second location that the row names, and the index there. ``other`` is None without a
            move, when the location is no longer written to, and when it could not be opened.
        users: number of calls that are using the indexes now.
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
        """The one or two indexes."""
        return [self.current] if self.other is None else [self.current, self.other]


class DualWriteIndex:
    """Implements :class:`~serve_app.gallery.index.base.VectorIndex` at one or two locations.

    ``configured`` is the location of the settings. If the index was moved away from there, the location in the records
    takes precedence. Raises ConfigurationError, StoreUnavailable: the index cannot be opened.

    Attributes:
        row: as it was read last, about a second ago.
        backends: open and remove indexes.
    """

    def __init__(self, database: Database, backends: IndexBackends, configured: IndexLocation) -> None:
        self._database = database
        self.backends = backends
        self._configured = configured
        self._lock = threading.RLock()
        self._counting = threading.Lock()
        self._former: list[Layout] = []
        self._failed: tuple[int, str] | None = None
        self.row = database.transact(lambda c: index_location.settled(c, configured.uri))
        self._layout = self._open(self.row, None)
        self.refresh()

    @property
    def layout(self) -> Layout:
        """The opened indexes of the current version of the row."""
        return self._layout

    @property
    def configured(self) -> str:
        """URI of the location of the settings."""
        return self._configured.uri

    # -- following the row

    def attend(self, connection: sa.Connection) -> None:
        self._follow(index_location.get(connection, "share"))

    def refresh(self) -> IndexMove:
        """Read and follow the row; give up a move whose target failed in this process. Returns the row."""
        if self._failed is not None:
            version, reason = self._failed
            self._database.transact(lambda c: index_location.give_up(c, version, reason))
            self._failed = None
        with self._database.read() as connection:
            row = index_location.get(connection)
        self._follow(row)
        self.drained()
        self.row = row
        return row

    def _follow(self, row: IndexMove) -> None:
        if row.version <= self._layout.version:
            return  # the same version, or an older one: a transaction may have read a newer row in between
        with self._lock:
            if row.version > self._layout.version:
                layout = self._open(row, self._layout)
                with self._counting:
                    self._former.append(self._layout)
                    self._layout = layout

    def drained(self) -> bool:
        """Close the indexes of former layouts that no call uses any more; whether no former layout is left."""
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
        """The layout; its indexes stay open during the block.

        Only calls outside a transaction need this: the row does not change before a transaction that has called
        :meth:`attend` has ended.
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
                        raise StoreUnavailable(
                            "The location that the vector index moves to does not answer."
                        ) from error
        return Layout(row.version, location, current, row.other, other, row.state)

    def _with_token(self, location: IndexLocation) -> IndexLocation:
        return location if location.token is not None else IndexLocation(location.uri, self._configured.token)

    # -- rows

    def upsert(self, model: str, rows: Sequence[IndexRow]) -> None:
        layout = self._layout
        layout.current.upsert(model, rows)
        if layout.other is not None:
            with self._writing_to_other(layout):
                layout.other.upsert(model, rows)

    def delete(self, model: str, keys: Sequence[RowKey]) -> None:
        layout = self._layout
        layout.current.delete(model, keys)
        if layout.other is not None:
            with self._writing_to_other(layout):
                layout.other.delete(model, keys)

    @contextmanager
    def _writing_to_other(self, layout: Layout) -> Iterator[None]:
        try:
            yield
        except StoreUnavailable as error:
            self._note_failure(layout, error)
            if layout.state is MoveState.COPYING:
                raise  # this write fails; then the move is given up, and later writes succeed without the target
            log.warning("a change could not be made in the former vector index: %s", error)

    def _note_failure(self, layout: Layout, error: StoreUnavailable) -> None:
        if layout.state is MoveState.COPYING:
            self._failed = layout.version, str(error)

    def settle(self, model: str, key: RowKey) -> None:
        with self._using() as layout:
            layout.current.settle(model, key)
            if layout.other is not None and layout.state is MoveState.KEPT_UP:  # other processes may search there
                with suppress(StoreUnavailable):
                    layout.other.settle(model, key)

    def search(self, model: str, probes: Vectors, collections: Sequence[str], limit: int) -> list[list[Hit]]:
        with self._using() as layout:
            return layout.current.search(model, probes, collections, limit)

    def warm_up(self) -> None:
        with self._using() as layout:
            layout.current.warm_up()

    def keys(self, model: str) -> Iterator[RowKey]:
        """See :class:`VectorIndex`. Of the location where searches go."""
        with self._using() as layout:
            yield from layout.current.keys(model)

    def rows_of(self, model: str, face_ids: Iterable[str]) -> set[RowKey]:
        """See :class:`VectorIndex`. Of both locations."""
        face_ids = list(face_ids)
        with self._using() as layout:
            found = layout.current.rows_of(model, face_ids)
            if layout.other is not None:
                try:
                    found |= layout.other.rows_of(model, face_ids)
                except StoreUnavailable as error:  # raised, because a receipt of an erasure relies on this answer
                    self._note_failure(layout, error)
                    raise
            return found

    def vectors(self, model: str, keys: Sequence[RowKey]) -> dict[RowKey, NDArray[np.float32]]:
        """See :class:`VectorIndex`. Of the location where searches go."""
        with self._using() as layout:
            return layout.current.vectors(model, keys)

    def dimension(self, model: str) -> int | None:
        """See :class:`VectorIndex`. Of the location where searches go."""
        with self._using() as layout:
            return layout.current.dimension(model)

    def count(self, model: str) -> int:
        """See :class:`VectorIndex`. Of the location where searches go."""
        with self._using() as layout:
            return layout.current.count(model)

    # -- parts

    def models(self) -> list[str]:
        """See :class:`VectorIndex`. Of both locations."""
        with self._using() as layout:
            return sorted({model for index in layout.indexes for model in index.models()})

    def drop(self, model: str) -> None:
        """See :class:`VectorIndex`. In both locations."""
        with self._using() as layout:
            for index in layout.indexes:
                index.drop(model)

    # -- life

    def maintain(self) -> None:
        self.refresh()
        with self._using() as layout:
            layout.current.maintain()
            if layout.other is not None:
                with suppress(StoreUnavailable):  # the next write to it will fail and be handled
                    layout.other.maintain()

    def scrub(self) -> None:
        with self._using() as layout:
            for index in layout.indexes:
                index.scrub()

    def doubtful(self) -> bool:
        """See :class:`VectorIndex`. Of the location where searches go: a failing target ends the move instead."""
        return self._layout.current.doubtful()

    def facts(self) -> Mapping[str, Any]:
        with self._using() as layout:
            return layout.current.facts()

    def capacity(self) -> int | None:
        return self._layout.current.capacity()

    def unindexed(self) -> int:
        """See :class:`VectorIndex`. Of the location where searches go."""
        with self._using() as layout:
            return layout.current.unindexed()

    def close(self) -> None:
        for index in {index for layout in (self._layout, *self._former) for index in layout.indexes}:
            index.close()
