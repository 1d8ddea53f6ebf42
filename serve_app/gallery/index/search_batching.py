"""Batching of concurrent searches of the embedded index.

A search reads all rows from memory, which costs more than the arithmetic: a search with 32 probes takes only ten times
as long as a search with one. So concurrent searches are combined into one.

The first caller searches at once. Callers that come during that search wait, and then one of them searches for all of
them. There is no waiting time to tune, and a single caller waits for nothing.
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
"""Most probes of one combined call, unless a single caller has more."""


class SearchBatcher(Generic[Key, Found]):
    """Combines concurrent searches with equal parameters (``key``). Thread-safe.

    ``search`` takes the key and the probes of all combined calls (n, dimension), and returns one answer for each probe.
    If it raises, every caller of that combined call gets the exception.
    """

    def __init__(self, search: Callable[[Key, Vectors], Sequence[Found]]) -> None:
        self._search = search
        self._waiting: dict[Key, list[tuple[Vectors, Future[list[Found]]]]] = defaultdict(list)
        self._lock = threading.Lock()
        self._searching = threading.Lock()

    def search(self, key: Key, probes: Vectors) -> list[Found]:
        """The answers for these probes, in their order. Blocks until the search is done."""
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
        """Remove and return the oldest waiting calls that fit into one combined call, at least one."""
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
