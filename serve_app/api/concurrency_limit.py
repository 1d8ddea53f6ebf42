"""Requests of one API key that are worked on at the same time, counted in this replica.

Whoever serves a request opens a :func:`request_scope`; a key that is authenticated inside takes a place, which is free
again when the scope ends, however it ends.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from serve_app.domain import ApiKey
from serve_app.errors import RateLimited

_taken: ContextVar[list[tuple[ConcurrencyLimit, str]] | None] = ContextVar("places taken by the request", default=None)


class ConcurrencyLimit:
    """The places of all keys. Safe to call from several threads.

    Args:
        most: places of one key; 0 for no limit of its own.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._busy: Counter[str] = Counter()

    def take(self, key: ApiKey) -> None:
        """Count the current request for this key; a second call for the same request does nothing.

        Raises:
            RateLimited: with ``details["retry_after_s"]``.
        """
        places = _taken.get()
        if not self._most or places is None or any(owner is self for owner, _ in places):
            return
        with self._lock:
            if self._busy[key.id] >= self._most:
                raise RateLimited(
                    f"This API key may have {self._most} requests worked on at the same time; try again in 1 s.",
                    limit=self._most,
                    retry_after_s=1,
                )
            self._busy[key.id] += 1
            places.append((self, key.id))

    def free(self, key_id: str) -> None:
        """The end of a request that took a place."""
        with self._lock:
            self._busy[key_id] -= 1
            if not self._busy[key_id]:
                del self._busy[key_id]


@contextmanager
def request_scope() -> Iterator[None]:
    """One request: the places taken inside, also in threads that it starts, are free afterwards."""
    places: list[tuple[ConcurrencyLimit, str]] = []
    token = _taken.set(places)
    try:
        yield
    finally:
        _taken.reset(token)
        for concurrency, key_id in places:
            concurrency.free(key_id)
