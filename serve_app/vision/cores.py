"""Sharing the processors between the models of a process.

A call on several threads ends sooner than on one, and takes more processor time: its threads wait for each other at
every node of the graph. So a model gets several threads while it is the only one that runs, and one while others do.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Cores:
    """Counts the model calls, and other long computations, that are running. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running = 0

    @contextmanager
    def call(self) -> Iterator[bool]:
        """One more runs meanwhile; yields whether it began as the only one."""
        with self._lock:
            self._running += 1
            alone = self._running == 1
        try:
            yield alone
        finally:
            with self._lock:
                self._running -= 1


HERE = Cores()
"""Those of this process."""
