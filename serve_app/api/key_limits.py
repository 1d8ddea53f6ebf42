"""Limits of one API key, counted in this replica: concurrent requests, and requests per second.

The server of a request opens a :func:`request_scope`. Authentication inside the scope counts the request for its key;
the end of the scope, also by an exception, takes it off the count of concurrent requests.

The rate has one token bucket per key. It holds the requests of one second (at least one request), which a key may send
as a burst. Each ingress replica counts separately, so the rate over all replicas is at most the sum of theirs.
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from serve_app.domain import ApiKey
from serve_app.errors import RateLimited

MAX_BUCKETS = 10_000
"""Maximum number of buckets. When more keys have a limit, all buckets start full again, which errs
towards admitting requests."""

LONGEST_WAIT_S = 86_400
"""Most seconds that a caller is told to wait, however low the rate is."""

_counted: ContextVar[list[tuple[ConcurrencyLimit, str]] | None] = ContextVar("keys that count it", default=None)


class ConcurrencyLimit:
    """Counts the requests in progress of every key. Safe to call from several threads.

    ``most`` is the number of concurrent requests of one key; 0 for no limit.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._busy: Counter[str] = Counter()

    def take(self, key: ApiKey) -> None:
        """Count the current request for this key, once. Raises RateLimited with ``details["retry_after_s"]``."""
        counted = _counted.get()
        if not self._most or counted is None or any(owner is self for owner, _ in counted):
            return
        with self._lock:
            if self._busy[key.id] >= self._most:
                raise RateLimited(
                    f"This API key may have at most {self._most} requests in progress; try again in 1 s.",
                    limit=self._most,
                    retry_after_s=1,
                )
            self._busy[key.id] += 1
            counted.append((self, key.id))

    def free(self, key_id: str) -> None:
        """A counted request has ended."""
        with self._lock:
            self._busy[key_id] -= 1
            if not self._busy[key_id]:
                del self._busy[key_id]


@contextmanager
def request_scope() -> Iterator[None]:
    """The scope of one request, which also covers threads that the request starts."""
    counted: list[tuple[ConcurrencyLimit, str]] = []
    token = _counted.set(counted)
    try:
        yield
    finally:
        _counted.reset(token)
        for concurrency, key_id in counted:
            concurrency.free(key_id)


class RateLimiter:
    """Enforces the rate limits of all keys that have one. Safe to call from several threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[float, float]] = {}  # key id -> (tokens, when counted)

    def take(self, key: ApiKey) -> None:
        """Count one request of this key. Raises RateLimited with ``details["retry_after_s"]``."""
        if (rate := key.rate_limit) is None:
            return
        capacity = max(1.0, rate)
        with self._lock:
            now = self._clock()
            tokens, counted = self._buckets.get(key.id, (capacity, now))
            tokens = min(capacity, tokens + (now - counted) * rate)
            allowed = tokens >= 1.0
            if len(self._buckets) >= MAX_BUCKETS and key.id not in self._buckets:
                self._buckets.clear()
            self._buckets[key.id] = (tokens - 1.0 if allowed else tokens, now)
        if not allowed:
            wait = math.ceil(min((1.0 - tokens) / rate, LONGEST_WAIT_S))
            raise RateLimited(
                f"This API key may send {rate:g} requests per second; try again in {wait} s.",
                limit=rate,
                retry_after_s=wait,
            )
