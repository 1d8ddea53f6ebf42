"""Requests per second of one API key, counted in this replica.

A token bucket per key: it holds one second's worth of requests (at least one), so a key may send its second's share at
once. With several ingress replicas each counts for itself; the rate over all of them is at most the sum.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from serve_app.domain import ApiKey
from serve_app.errors import RateLimited

MAX_BUCKETS = 10_000
"""Buckets kept; more keys than that with a limit of their own start anew, which errs towards letting them in."""


class RateLimiter:
    """The buckets of all keys that have a rate limit. Safe to call from several threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[float, float]] = {}  # key id -> (tokens, when counted)

    def take(self, key: ApiKey) -> None:
        """Count one request of this key.

        Raises:
            RateLimited: with ``details["retry_after_s"]``.
        """
        if key.rate_limit is None:
            return
        rate = key.rate_limit
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
            wait = math.ceil((1.0 - tokens) / rate)
            raise RateLimited(
                f"This API key may send {rate:g} requests per second; try again in {wait} s.",
                limit=rate,
                retry_after_s=wait,
            )
