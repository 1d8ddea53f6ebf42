"""What goes through a stage, and through the ingress, in the last minute: for people who look, not for alarms.

Prometheus has every replica's figures over all time (:mod:`serve_app.observability.metrics`). This is the small, recent
view of one ingress replica, which needs no other program: how much is waiting or under way, how long calls took
including their queues, how many were turned away.
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
"""Older calls are forgotten."""

MOST = 20_000
"""Calls remembered: at higher rates the window is shorter."""

UNCOUNTED = frozenset({"ready"})
"""Calls that ask after the stage instead of using it."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one window.

    Attributes:
        in_flight: calls under way right now, waiting ones included.
        calls, refused, failed: calls that ended in the window; how many of them were turned away for lack of room or
            by a rate limit, and how many failed.
        median_ms, p99_ms: of the calls that were neither; None without any.
        per_second: calls that ended.
    """

    in_flight: int
    calls: int
    refused: int
    failed: int
    median_ms: float | None
    p99_ms: float | None
    per_second: float


class RecentStatistics:
    """Counts calls. Not thread-safe: it belongs to one event loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._started = clock()
        self._ended: deque[tuple[float, float | None, bool]] = deque(maxlen=MOST)
        self.in_flight = 0

    @contextmanager
    def call(self) -> Iterator[None]:
        """One call; what it raises is counted and passed on."""
        self.in_flight += 1
        began = self._clock()
        try:
            yield
        except (Overloaded, RateLimited):
            self.add(None, refused=True)
            raise
        except Exception as error:
            # A refusal of the caller's own input is work done; only our failures are failures.
            self.add(None if getattr(error, "status", 500) >= 500 else self._clock() - began)
            raise
        else:
            self.add(self._clock() - began)
        finally:
            self.in_flight -= 1

    def add(self, seconds: float | None, *, refused: bool = False) -> None:
        """A call ended after so many seconds; None: it was refused, or it failed."""
        self._ended.append((self._clock(), seconds, refused))

    def figures(self) -> Figures:
        """Of the calls that ended in the last :data:`WINDOW_S` seconds."""
        now = self._clock()
        while self._ended and self._ended[0][0] < now - WINDOW_S:
            self._ended.popleft()
        took = sorted(seconds for _, seconds, _ in self._ended if seconds is not None)
        refused = sum(was_refused for *_, was_refused in self._ended)
        calls = len(self._ended)
        full = calls == MOST  # then the window is as long as these calls took
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
    """Nearest rank, in milliseconds."""
    return 1000 * ordered[round(share * (len(ordered) - 1))] if ordered else None


class MeasuredStage:
    """A stage with a window over its calls; it has the methods of the stage itself, local or remote."""

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

        self.__dict__[method] = call  # found without this detour from now on
        return call
