"""Concurrent searches of the embedded index made one: each reads all rows from memory, which costs more than the
arithmetic, so that 32 probes at once take ten times as long as one.

The first caller runs at once; those who come meanwhile wait, and the first of them searches for all. So there is no
time to tune, and a single caller pays nothing.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

import numpy as np

from serve_app.domain import Vectors

Key = TypeVar("Key", bound=Hashable)
Found = TypeVar("Found")

MAX_PROBES = 64
"""Of one combined call, unless a single caller brings more."""


class SearchBatcher(Generic[Key, Found]):
    """Combines concurrent calls that differ in their probes only. Thread-safe.

    Args:
        search: takes what the calls have in common and all their probes (n, dimension); returns one answer a probe. Its
            exception reaches every caller of that combined call.
    """

    def __init__(self, search: Callable[[Key, Vectors], Sequence[Found]]) -> None:
        self._search = search
        self._waiting: dict[Key, list[tuple[Vectors, Future[list[Found]]]]] = defaultdict(list)
        self._lock = threading.Lock()
        self._searching = threading.Lock()

    def search(self, key: Key, probes: Vectors) -> list[Found]:
        """Answers for these probes, in their order; blocks until they are there."""
        answer: Future[list[Found]] = Future()
        with self._lock:
            self._waiting[key].append((probes, answer))
        with self._searching:
            while not answer.done():
                self._search_waiting(key)
        return answer.result()

    def _search_waiting(self, key: Key) -> None:
        calls = self._take(key)
        try:
            found = self._search(key, np.concatenate([probes for probes, _ in calls]))
        except BaseException as error:
            for _, answer in calls:
                answer.set_exception(error)
            return
        start = 0
        for probes, answer in calls:
            answer.set_result(list(found[start : start + len(probes)]))
            start += len(probes)

    def _take(self, key: Key) -> list[tuple[Vectors, Future[list[Found]]]]:
        """The oldest waiting calls that fit into one, at least one of them."""
        with self._lock:
            waiting, count, total = self._waiting[key], 0, 0
            while count < len(waiting) and (count == 0 or total + len(waiting[count][0]) <= MAX_PROBES):
                total += len(waiting[count][0])
                count += 1
            taken, left = waiting[:count], waiting[count:]
            if left:
                self._waiting[key] = left
            else:
                del self._waiting[key]
            return taken
