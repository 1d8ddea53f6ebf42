"""Circuit breaker for calls to Milvus.

When a call has timed out, the breaker opens: further calls are refused at once until a probe gets an answer. Otherwise
each call to a server that does not answer would hold a thread for the whole timeout, and a writer would hold the lock
on the records as well, one after the other; requests that need no index would wait behind them.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import grpc  # type: ignore[import-untyped]
from pymilvus.exceptions import MilvusException

from serve_app.errors import StoreUnavailable
from serve_app.observability import store_metrics

log = logging.getLogger(__name__)

FAILURES = (MilvusException, grpc.RpcError, grpc.FutureTimeoutError, OSError)

TIMED_OUT_SHARE = 0.9
"""A call that failed after at least this share of the timeout counts as unanswered; an earlier failure is a refusal."""

PROBE_S = 5.0
"""Most seconds that a probe waits for an answer."""

PROBE_OVERDUE_S = 10.0
"""After this long without a probe, no maintenance runs in this process, and the next caller makes the probe."""


class IndexUnavailable(StoreUnavailable):
    """The store that does not answer is the vector index."""


class CircuitBreaker:
    """Guards the calls to one Milvus server. Thread-safe.

    Attributes:
        failed: whether a call has failed; the user of the attribute sets it back to False.

    Args:
        ping: gets any answer from the server within the given seconds, or raises one of :data:`FAILURES`.
        timeout_s: of a call.
    """

    def __init__(self, ping: Callable[[float], object], timeout_s: float) -> None:
        self.failed = False
        self._ping = ping
        self._timeout_s = timeout_s
        self._open = False
        self._probed_at = 0.0
        self._probing = threading.Lock()

    @contextmanager
    def guard(self) -> Iterator[None]:
        """A context for calls. Turns failures into IndexUnavailable; raises it at once while the breaker is open."""
        if self._open and not self._closes_on_probe():
            store_metrics.failed("index")
            raise IndexUnavailable("The vector index does not answer; try again.")
        began = time.monotonic()
        try:
            yield
        except FAILURES as error:
            self.failed = True
            if time.monotonic() - began >= TIMED_OUT_SHARE * self._timeout_s:
                self._probed_at, self._open = time.monotonic(), True
            store_metrics.failed("index")
            log.warning("vector index: %s", error)
            raise IndexUnavailable("The vector index does not answer; try again.") from error

    def probe(self) -> None:
        """While the breaker is open, ping the server, and close the breaker if it answers.

        Call it about every second, and not inside a transaction. Raises IndexUnavailable: it still does not answer.
        """
        if not self._open:
            return
        with self._probing:
            try:
                self._ping(min(PROBE_S, self._timeout_s))
            except FAILURES as error:
                store_metrics.failed("index")
                raise IndexUnavailable("The vector index still does not answer.") from error
            finally:
                self._probed_at = time.monotonic()
            self._open = False

    def _closes_on_probe(self) -> bool:
        if time.monotonic() - self._probed_at < PROBE_OVERDUE_S or self._probing.locked():
            return False
        try:
            self.probe()
        except IndexUnavailable:
            return False
        return True
