"""Statistics of the last minute's calls to a stage or the ingress, for the status page.

They are not meant for alerts: Prometheus has every replica's metrics over all time
(:mod:`serve_app.observability.metrics`). This is the recent view of one ingress replica, which needs no other program:
calls waiting or in progress, durations including queueing, and refused calls.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from serve_app.errors import Overloaded, RateLimited

WINDOW_S = 60.0
"""Length of the window in seconds; older calls are dropped."""

MOST = 20_000
"""Most calls that are kept; at higher rates the window is shorter."""

UNCOUNTED = frozenset({"ready"})
"""Methods that query the state of the stage instead of using it."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Statistics of one window.

    Attributes:
        in_flight: calls in progress now, waiting ones included.
        calls: calls that ended in the window.
        refused: those refused by a full queue or a rate limit.
        failed: those that failed.
        median_ms, p99_ms: durations of calls that were neither refused nor failed; None without such calls.
        per_second: rate at which calls ended.
    """

    in_flight: int
    calls: int
    refused: int
    failed: int
    median_ms: float | None
    p99_ms: float | None
    per_second: float


class RecentStatistics:
    """Counter of calls over a sliding window. Not thread-safe: it belongs to one event loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._started = clock()
        self._ended: deque[tuple[float, float | None, bool]] = deque(maxlen=MOST)
        self.in_flight = 0

    @contextmanager
    def call(self) -> Iterator[None]:
        """Count the enclosed call; exceptions are counted and passed on."""
        self.in_flight += 1
        began = self._clock()
        try:
            yield
        except (Overloaded, RateLimited):
            self.add(None, refused=True)
            raise
        except Exception as error:
            # A 4xx is a completed call: the caller's input was wrong. Only errors of the service count as failed.
            self.add(None if getattr(error, "status", 500) >= 500 else self._clock() - began)
            raise
        else:
            self.add(self._clock() - began)
        finally:
            self.in_flight -= 1

    def add(self, seconds: float | None, *, refused: bool = False) -> None:
        """Count a call that ended after ``seconds``; None if it was refused or failed."""
        self._ended.append((self._clock(), seconds, refused))

    def figures(self) -> Figures:
        """Statistics of the calls that ended in the last :data:`WINDOW_S` seconds."""
        now = self._clock()
        while self._ended and self._ended[0][0] < now - WINDOW_S:
            self._ended.popleft()
        took = sorted(seconds for _, seconds, _ in self._ended if seconds is not None)
        refused = sum(was_refused for *_, was_refused in self._ended)
        calls = len(self._ended)
        full = calls == MOST  # then the window begins with the oldest kept call
        span = now - self._ended[0][0] if full else min(WINDOW_S, max(now - self._started, 1.0))
        return Figures(
            in_flight=self.in_flight,
            calls=calls,
            refused=refused,
            failed=calls - len(took) - refused,
            median_ms=_percentile(took, 0.5),
            p99_ms=_percentile(took, 0.99),
            per_second=calls / max(span, 1e-3),
        )


def _percentile(ordered: list[float], share: float) -> float | None:
    """Percentile by nearest rank, in milliseconds."""
    return 1000 * ordered[round(share * (len(ordered) - 1))] if ordered else None


class MeasuredStage:
    """Wrapper that counts a stage's calls; it has the methods of the wrapped stage, local or remote."""

    def __init__(self, stage: Any) -> None:
        self._stage = stage
        self.statistics = RecentStatistics()

    def __getattr__(self, method: str) -> Any:
        found = getattr(self._stage, method)
        if method.startswith("_") or method in UNCOUNTED:
            return found

        async def call(*args: Any, **kwargs: Any) -> Any:
            with self.statistics.call():
                return await found(*args, **kwargs)

        self.__dict__[method] = call  # later lookups find it without __getattr__
        return call
