"""Sharing the processors between the threads of a process that compute.

More threads than processors only take turns: each turn costs caches and locks, and 16 searches at once took a quarter
more processor time for each than 2. So whoever computes for long holds a processor meanwhile, and waits for one while
none is free, in the order of arrival.

A model's call on several threads ends sooner than on one, and takes more processor time: its threads wait for each
other at every node of the graph. So it gets several while they are all free, and one otherwise.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from serve_app.processors import cpu_count


class CpuSlots:
    """A number of processors. Thread-safe.

    Args:
        number: at least 1.
    """

    def __init__(self, number: int) -> None:
        self._free = number
        self._waiting: deque[threading.Lock] = deque()  # each locked until its thread has a processor
        self._lock = threading.Lock()
        self._of_thread = threading.local()

    @contextmanager
    def hold(self, wanted: int = 1) -> Iterator[int]:
        """Hold processors meanwhile; yields how many: ``wanted`` if so many are free, otherwise 1, after a wait.

        A thread that holds some already keeps them, and gets what it lacks or nothing: it never waits.
        """
        before: int = getattr(self._of_thread, "held", 0)
        taken = self._take(wanted, before)
        self._of_thread.held = before + taken
        try:
            yield before + taken
        finally:
            self._of_thread.held = before
            self._give_back(taken)

    def _take(self, wanted: int, before: int) -> int:
        with self._lock:
            lacking = max(0, wanted - before)
            if lacking > self._free:
                lacking = 0 if before else min(1, self._free)
            self._free -= lacking
            if before or lacking:
                return lacking
            gate = threading.Lock()
            gate.acquire()
            self._waiting.append(gate)
        gate.acquire()  # handed over by whoever gives one back
        return 1

    def _give_back(self, taken: int) -> None:
        with self._lock:
            self._free += taken
            while self._free and self._waiting:
                self._free -= 1
                self._waiting.popleft().release()


CPU_COUNT = cpu_count()
"""Processors of this process, as they were at its start."""

PROCESS_SLOTS = CpuSlots(CPU_COUNT)
"""Those of this process."""
