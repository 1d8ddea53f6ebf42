"""CPU slots: a fair semaphore that shares the processors among the computing threads of a process.

More computing threads than processors only take turns, and each turn costs caches and locks: with 16 concurrent
searches each took a quarter more processor time than with 2. So a thread holds a slot during a long computation, and
waits in order of arrival while none is free.

A model call on several threads ends sooner than on one but takes more processor time, because its threads wait for each
other at every node of the graph. So it gets several slots while enough are free, and one otherwise.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from serve_app.processors import cpu_count


class CpuSlots:
    """A number of slots, at least 1, one per processor. Thread-safe."""

    def __init__(self, number: int) -> None:
        self._free = number
        self._waiting: deque[threading.Lock] = deque()  # each is locked until its thread gets a slot
        self._lock = threading.Lock()
        self._of_thread = threading.local()

    @contextmanager
    def hold(self, wanted: int = 1) -> Iterator[int]:
        """Context manager that holds slots and yields their number.

        It takes ``wanted`` slots if that many are free. Otherwise it takes one, waiting until one is free. A thread
        that holds slots already never waits: it gets all the missing ones, or none and keeps what it has.
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
        gate.acquire()  # released by the thread that gives a slot back
        return 1

    def _give_back(self, taken: int) -> None:
        with self._lock:
            self._free += taken
            while self._free and self._waiting:
                self._free -= 1
                self._waiting.popleft().release()


CPU_COUNT = cpu_count()
"""Number of processors available to this process at its start."""

PROCESS_SLOTS = CpuSlots(CPU_COUNT)
"""The slots that all models of this process share."""
