"""Segments of a Milvus server's collections: sealing them, and reading their sizes and indexes.

A server builds the HNSW index of a segment only when the segment is sealed. It searches new rows before that exactly
while they are few, and with a coarse index once they are many: of 100,000 new faces Milvus 2.3.5 did not find one in
five, and would not have sealed them by itself for ten minutes. So this process has segments sealed.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import Counter
from typing import Any

from serve_app.gallery.index.circuit_breaker import FAILURES

log = logging.getLogger(__name__)

SEAL_ROWS = 20_000
"""Number of written rows after which they are sealed; fewer rows are searched exactly."""

SEAL_PERIOD_S = 11.0
"""Seconds between two attempts to seal: a server can refuse to do it more than once in 10 s."""

VECTOR = "vector"
"""Name of the index of the vectors: the server gives it the name of its field."""

SIZES_PERIOD_S = 60.0
"""Seconds between two readings of the sizes of segments: a server merges segments in the course of hours."""

USED_AFTER_S = 60.0
"""Seconds after which a listed index counts as used: a server lists an index as loaded before its searches use it. Of a
million faces, searches found 94 % when the indexes of all segments were listed, and 99.9 % half a minute later."""

MAX_LISTINGS = 24
"""How often the segments are listed at most. A listing names only one index of each loaded segment, at random that of
the vectors or another one."""


class Segments:
    """Seals segments, counts the rows that this process has written since, and remembers sizes. Thread-safe.

    ``client`` is a ``MilvusClient`` connected to a server. ``timeout_s`` is of a call; when sealing takes longer, the
    server still completes it.
    """

    def __init__(self, client: Any, timeout_s: float) -> None:
        self._client = client
        self._timeout_s = timeout_s
        self._unsealed: Counter[str] = Counter()
        self._index_seen: dict[str, dict[int, float]] = {}  # when a segment's vector index was first listed
        self._largest_segment: dict[str, int] = {}
        self._sizes_read: dict[str, float] = {}
        self._lock = threading.Lock()
        self._last_sealed = -math.inf

    def written(self, name: str, rows: int) -> None:
        """Note that this process wrote rows to a collection."""
        with self._lock:
            self._unsealed[name] += rows
        self._index_seen.setdefault(name, {})  # an index that is listed first from now on may be new

    def dropped(self, name: str) -> None:
        """Note that a collection was dropped."""
        with self._lock:
            del self._unsealed[name]
        self._largest_segment.pop(name, None)
        self._index_seen.pop(name, None)

    def read_sizes(self, name: str) -> None:
        """Read the sizes of a collection's segments, at most every :data:`SIZES_PERIOD_S`.

        A failure is logged and not raised, because only recall depends on the sizes.
        """
        now = time.monotonic()
        if now - self._sizes_read.get(name, -math.inf) < SIZES_PERIOD_S:
            return
        self._sizes_read[name] = now
        try:
            segments = self._client.list_loaded_segments(name, timeout=self._timeout_s)
        except FAILURES as error:
            log.warning("the Milvus server did not list the segments of %s: %s", name, error)
            return
        self._largest_segment[name] = max((segment.num_rows for segment in segments), default=0)

    def largest(self, name: str) -> int:
        """Number of rows of a collection's largest segment when the sizes were last read; 0 before."""
        return self._largest_segment.get(name, 0)

    def unindexed(self, name: str, rows: int) -> int:
        """Number of a collection's rows, by any process, that the server searches with its coarse index.

        An index is built first, then loaded, then used. So the segments count as indexed whose vector index has been
        loaded for :data:`USED_AFTER_S`. The index of the ids is loaded long before and does not count. ``rows`` is the
        number of all rows of the collection. Raises one of :data:`FAILURES`.
        """
        now = time.monotonic()
        # An index that is there before this process writes to the collection is in use.
        first_seen = now if name in self._index_seen else -math.inf
        index_seen = self._index_seen.setdefault(name, {})
        for _ in range(MAX_LISTINGS):
            segments = self._client.list_loaded_segments(name, timeout=self._timeout_s)
            for segment in segments:
                if segment.index_name == VECTOR:
                    index_seen.setdefault(segment.segment_id, first_seen)
            if all(segment.segment_id in index_seen or not segment.index_name for segment in segments):
                break
        used = {segment_id for segment_id, since in index_seen.items() if now - since >= USED_AFTER_S}
        not_indexed = rows - sum(segment.num_rows for segment in segments if segment.segment_id in used)
        return not_indexed if not_indexed >= SEAL_ROWS else 0

    def seal(self) -> None:
        """Seal the collections with at least :data:`SEAL_ROWS` written rows.

        A failure is logged and the call repeated later, because only recall depends on it.
        """
        with self._lock:
            due = {name: rows for name, rows in self._unsealed.items() if rows >= SEAL_ROWS}
            if not due or time.monotonic() - self._last_sealed < SEAL_PERIOD_S:
                return
            self._last_sealed = time.monotonic()
        for name, rows in due.items():
            try:
                self._client.flush(name, timeout=self._timeout_s)
            except FAILURES as error:
                log.warning("the Milvus server did not seal %s, which will be tried again: %s", name, error)
                continue
            with self._lock:
                if name in self._unsealed:
                    self._unsealed[name] -= rows
