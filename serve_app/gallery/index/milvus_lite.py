"""The vector index on milvus-lite, embedded in this process.

milvus-lite stores the rows on disk; searches use the copy in memory (:mod:`.flat_rows`).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serve_app.domain import Vectors
from serve_app.errors import StoreUnavailable
from serve_app.gallery.index.base import Hit, IndexRow, RowKey
from serve_app.gallery.index.flat_rows import FlatRows
from serve_app.gallery.index.milvus_collections import to_key
from serve_app.gallery.index.milvus_lite_files import remove_deleted_rows
from serve_app.gallery.index.milvus_server import MilvusIndex, Query
from serve_app.gallery.index.search_batching import SearchBatcher
from serve_app.index_parameters import EMBEDDED_ROWS
from serve_app.observability import store_metrics, tracing

log = logging.getLogger(__name__)

FLUSH_ROWS = 100
"""Written rows after which they are flushed: each row that is not flushed costs every query 10 to 60 microseconds."""

FLUSH_IDLE_S = 1.0
"""Seconds without a write after which fewer rows are flushed as well."""

READ_TIMEOUT_S = 300
"""Timeout of the query that reads all rows."""


class LiteIndex(MilvusIndex):
    """Implements :class:`~serve_app.gallery.index.base.VectorIndex` on milvus-lite.

    ``path`` is of a folder and ends in ``.db``; the other arguments are as for ``MilvusIndex``. Raises
    ConfigurationError: another process has the folder open, or the path cannot be used; StoreUnavailable: the stored
    index is damaged.
    """

    KIND = "milvus-lite"
    EMBEDDED = True

    def __init__(self, path: str, namespace: str, timeout_s: float) -> None:
        self._lock = threading.RLock()  # milvus-lite corrupts its log when two threads write
        self._unflushed: dict[str, int] = {}
        self._last_write = 0.0
        self._flat_rows = FlatRows()
        self._search_batcher = SearchBatcher(self._nearest)
        super().__init__(str(Path(path).resolve()), "", namespace, timeout_s)
        self._to_scrub = {part.name for part in self._milvus_collections.opened()}  # a crash may have left deleted rows

    # -- rows

    def upsert(self, model: str, rows: Sequence[IndexRow]) -> None:
        with self._changing(model):
            super().upsert(model, rows)
            self._flat_rows.put(model, rows)

    def delete(self, model: str, keys: Sequence[RowKey]) -> None:
        with self._changing(model):
            super().delete(model, keys)
            self._flat_rows.remove(model, keys)
            part = self._milvus_collections.find(model)
            if part is not None:
                self._to_scrub.add(part.name)

    def settle(self, model: str, key: RowKey) -> None:
        """Does nothing: searches find a row as soon as it was written."""

    def _search(self, query: Query, probes: Vectors) -> list[list[Hit]]:
        return self._search_batcher.search(query, probes)

    def _nearest(self, query: Query, probes: Vectors) -> list[list[Hit]]:
        while True:
            found = self._flat_rows.nearest(query.model, probes, query.collections, query.limit)
            if found is not None:
                return found
            self._read(query.model, query.name)

    def keys(self, model: str) -> Iterator[RowKey]:
        """Uses the copy in memory: a start, which compares the keys with the records, so reads the rows only once."""
        part = self._milvus_collections.find(model)
        while part is not None:
            keys = self._flat_rows.keys(model)
            if keys is not None:
                yield from keys
                return
            self._read(model, part.name)

    def vectors(self, model: str, keys: Sequence[RowKey]) -> dict[RowKey, NDArray[np.float32]]:
        """See the base class. Of the copy in memory, which searches use."""
        part = self._milvus_collections.find(model)
        while part is not None:
            found = self._flat_rows.vectors(model, keys)
            if found is not None:
                return found
            self._read(model, part.name)
        return {}

    def _read(self, model: str, name: str) -> None:
        with self._lock:  # no writes during the copy
            if model not in self._flat_rows:
                damaged = self._flat_rows.read(model, self._stored(model, name))
                if damaged:
                    store_metrics.index_differed(damaged)
                    log.error(
                        "%d rows of the vector index %s are not finite or not of norm 1: they are left out",
                        damaged,
                        name,
                    )

    def _stored(self, model: str, name: str) -> Iterator[IndexRow]:
        number = self.count(model)
        if number > EMBEDDED_ROWS:
            rows: Iterable[Mapping[str, Any]] = self._iterate(name, "pk", "vector")
        else:
            # In one query, because milvus-lite goes through all rows for each step of an iteration. For a moment this
            # needs twice the memory of the vectors.
            with self._breaker.guard(), tracing.span("index read"):
                rows = self._client.query(
                    name, filter="", output_fields=["pk", "vector"], limit=number + 1, timeout=READ_TIMEOUT_S
                )
        for row in rows:
            yield IndexRow(to_key(row["pk"]), np.asarray(row["vector"], np.float32))

    def drop(self, model: str) -> None:
        with self._changing(model):
            part = self._milvus_collections.find(model)
            super().drop(model)
            self._flat_rows.forget(model)
            if part is not None:
                self._unflushed.pop(part.name, None)

    @contextmanager
    def _changing(self, model: str) -> Iterator[None]:
        with self._lock:
            try:
                yield
            except BaseException:
                self._flat_rows.forget(model)  # some of the rows may have been written
                raise

    def _written(self, name: str, rows: int) -> None:
        self._last_write = time.monotonic()
        self._unflushed[name] = self._unflushed.get(name, 0) + rows
        if self._unflushed[name] >= FLUSH_ROWS:
            self._flush(name)

    # -- life

    def maintain(self) -> None:
        self._breaker.probe()
        if not self._unflushed or time.monotonic() - self._last_write < FLUSH_IDLE_S:
            return
        with self._lock:
            for name in list(self._unflushed):
                self._flush(name)

    def scrub(self) -> None:
        with self._lock:
            names, self._to_scrub = self._to_scrub, set()
        try:
            for name in names:
                with self._lock, self._breaker.guard():
                    if self._client.has_collection(name, timeout=self._timeout_s):
                        self._flush(name)
                with self._breaker.guard(), tracing.span("index scrub"):
                    remove_deleted_rows(self._client.database, name)
        except BaseException:
            with self._lock:
                self._to_scrub |= names
            raise

    def doubtful(self) -> bool:
        """Also discards the copy in memory, because a failed flush loses rows."""
        was = super().doubtful()
        if was:
            self._flat_rows.forget()
        return was

    def capacity(self) -> int | None:
        return EMBEDDED_ROWS

    def unindexed(self) -> int:
        """Always 0: a search looks at all rows."""
        return 0

    def close(self) -> None:
        with self._lock:
            for name in list(self._unflushed):
                try:
                    self._flush(name)
                except StoreUnavailable as error:
                    log.warning("%s", error)  # nothing is lost: the next start repairs the index from the records
            super().close()

    def _flush(self, name: str) -> None:
        with self._breaker.guard(), tracing.span("index flush"):
            self._client.flush(name, timeout=max(60.0, self._timeout_s))
        self._unflushed.pop(name, None)
