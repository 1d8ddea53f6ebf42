"""Sharing the processors between the models of a process.

A call on several threads ends sooner than on one, and takes more processor time: its threads wait for each other at
every node of the graph. So a model gets several threads while it is the only one that runs, and one while others do.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class Cores:
    """Knows which threads compute: model calls, and the work around them. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: Counter[int] = Counter()  # of each thread, whose calls may be inside one another

    @contextmanager
    def call(self) -> Iterator[bool]:
        """This thread computes meanwhile; yields whether it was the only one at the beginning."""
        thread = threading.get_ident()
        with self._lock:
            self._calls[thread] += 1
            alone = len(self._calls) == 1
        try:
            yield alone
        finally:
            with self._lock:
                self._calls[thread] -= 1
                if not self._calls[thread]:
                    del self._calls[thread]


HERE = Cores()
"""Those of this process."""
