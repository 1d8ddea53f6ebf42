"""The segments of a Milvus server's collections: sealed, so that it builds the real index of them, and looked at.

Until then a server searches what is new exactly while it is little, and by a coarse index of its own once it is much:
of 100,000 fresh faces Milvus 2.3.5 did not find one in five, and would not have sealed them by itself for ten minutes.
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
"""Rows after which they are sealed: fewer are searched exactly."""

SEAL_PERIOD_S = 11.0
"""Between two times: a server may refuse to do it more than once in 10 s."""

VECTOR = "vector"
"""The vector index, by the name that a server gives it: its field's."""

LOOK_PERIOD_S = 60.0
"""Between two looks at how large segments are: a server joins them in the course of hours."""

MIN_CANDIDATES, MAX_CANDIDATES = 128, 1024
ROWS_PER_CANDIDATE = 1000
"""Each segment has a graph of its own, and the more rows are in it, the more of them (``ef``) a search has to look at
to find the nearest one: 128 find 99.9 % in a graph of 100,000 rows, 256 in one of 300,000 (docs/performance.md)."""

USED_AFTER_S = 60.0
"""A server lists an index as loaded before its searches use it: of a million faces they found 94 % when the indexes of
all segments were listed, and 99.9 % half a minute later."""

ASKED = 24
"""A server names one index of each loaded segment, by chance the vectors' or another one: so often it is asked."""


class Segments:
    """Counts the rows that this process has written since they were sealed. Thread-safe.

    Args:
        client: a ``MilvusClient`` of a server.
        timeout_s: how long sealing may take; the server goes on all the same.
    """

    def __init__(self, client: Any, timeout_s: float) -> None:
        self._client = client
        self._timeout_s = timeout_s
        self._open: Counter[str] = Counter()
        self._graphs: dict[str, dict[int, float]] = {}  # when the index of a segment was first seen
        self._largest: dict[str, int] = {}
        self._looked: dict[str, float] = {}
        self._lock = threading.Lock()
        self._last = -math.inf

    def written(self, name: str, rows: int) -> None:
        """So many rows were written to this collection."""
        with self._lock:
            self._open[name] += rows
        self._graphs.setdefault(name, {})  # indexes that are found from now on may be new

    def dropped(self, name: str) -> None:
        """The collection is gone."""
        with self._lock:
            del self._open[name]
        self._largest.pop(name, None)
        self._graphs.pop(name, None)

    def look(self, name: str) -> None:
        """Find out how large a collection's segments are, now and then. Only recall depends on it: see :meth:`seal`."""
        now = time.monotonic()
        if now - self._looked.get(name, -math.inf) < LOOK_PERIOD_S:
            return
        self._looked[name] = now
        try:
            segments = self._client.list_loaded_segments(name, timeout=self._timeout_s)
        except FAILURES as error:
            log.warning("the Milvus server did not tell the segments of %s: %s", name, error)
            return
        self._largest[name] = max((segment.num_rows for segment in segments), default=0)

    def candidates(self, name: str) -> int:
        """Rows of each segment that a search of this collection is to look at."""
        return min(max(MIN_CANDIDATES, self._largest.get(name, 0) // ROWS_PER_CANDIDATE), MAX_CANDIDATES)

    def unindexed(self, name: str, rows: int) -> int:
        """How many of a collection's rows the server searches coarsely, whoever wrote them.

        An index that is built is loaded and used later, so what counts is which segments have had the vectors' loaded
        for a while. Some have another one, of ids, long before.

        Raises one of :data:`FAILURES`.
        """
        now = time.monotonic()
        seen = now if name in self._graphs else -math.inf  # found there by a process that wrote nothing: in use
        graphs = self._graphs.setdefault(name, {})
        for _ in range(ASKED):
            segments = self._client.list_loaded_segments(name, timeout=self._timeout_s)
            for segment in segments:
                if segment.index_name == VECTOR:
                    graphs.setdefault(segment.segment_id, seen)
            if all(segment.segment_id in graphs or not segment.index_name for segment in segments):
                break
        used = {segment_id for segment_id, since in graphs.items() if now - since >= USED_AFTER_S}
        left = rows - sum(segment.num_rows for segment in segments if segment.segment_id in used)
        return left if left >= SEAL_ROWS else 0

    def seal(self) -> None:
        """Seal where it is due. Only recall depends on it: a failure is logged, and it is tried again."""
        with self._lock:
            due = {name: rows for name, rows in self._open.items() if rows >= SEAL_ROWS}
            if not due or time.monotonic() - self._last < SEAL_PERIOD_S:
                return
            self._last = time.monotonic()
        for name, rows in due.items():
            try:
                self._client.flush(name, timeout=self._timeout_s)
            except FAILURES as error:
                log.warning("the Milvus server did not seal %s, which is tried again: %s", name, error)
                continue
            with self._lock:
                if name in self._open:
                    self._open[name] -= rows
