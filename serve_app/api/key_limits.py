"""The rate limits of API keys: requests per second, counted in this replica.

One token bucket per key holds the requests of one second (at least one request), which a key may send as a burst. Each
ingress replica counts separately, so the rate over all replicas is at most the sum of theirs.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from serve_app.domain import ApiKey
from serve_app.errors import RateLimited

MAX_BUCKETS = 10_000
"""Maximum number of buckets. When more keys have a limit, all buckets start full again, which errs
towards admitting requests."""

LONGEST_WAIT_S = 86_400
"""Most seconds that a caller is told to wait, however low the rate is."""


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
