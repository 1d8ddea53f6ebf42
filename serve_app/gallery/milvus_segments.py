"""Sealing what was written to a Milvus server, so that it builds the real index of it.

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

from serve_app.gallery.milvus_calls import FAILURES

log = logging.getLogger(__name__)

SEAL_ROWS = 20_000
"""Rows after which they are sealed: fewer are searched exactly."""

SEAL_PERIOD_S = 11.0
"""Between two times: a server may refuse to do it more than once in 10 s."""


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
        self._lock = threading.Lock()
        self._last = -math.inf

    def written(self, name: str, rows: int) -> None:
        """So many rows were written to this collection."""
        with self._lock:
            self._open[name] += rows

    def dropped(self, name: str) -> None:
        """The collection is gone."""
        with self._lock:
            del self._open[name]

    def unindexed(self, name: str, rows: int) -> int:
        """How many of a collection's rows the server searches coarsely, whoever wrote them.

        An index that is built is used some seconds later, so what counts is which segments have one loaded.

        Raises one of :data:`FAILURES`.
        """
        segments = self._client.list_loaded_segments(name, timeout=self._timeout_s)
        left = rows - sum(segment.num_rows for segment in segments if segment.index_name)
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
