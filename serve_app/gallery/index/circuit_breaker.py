"""Circuit breaker for calls to Milvus: a server that let one call time out is not called again until it answers.

Without that, each call to a server that does not answer would hold a thread, and a writer the lock on the records, for
the whole timeout, one after the other, and requests that need no index would wait behind them.
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

IN_VAIN = 0.9
"""Share of the timeout from which a failed call is taken for one that got no answer, not for a refused one."""

PROBE_S = 5.0
"""The longest that a probe waits."""

UNATTENDED_S = 10.0
"""Without a probe for so long nobody keeps house in this process, and a caller makes the next one."""


class IndexUnavailable(StoreUnavailable):
    """The vector index, of all stores, does not answer."""


class CircuitBreaker:
    """The calls to one Milvus, of any number of threads.

    Attributes:
        failed: whether one failed since somebody set it to False.

    Args:
        ask: gets any answer from the server within so many seconds, or raises what ``MilvusClient`` raises.
        timeout_s: of a call.
    """

    def __init__(self, ask: Callable[[float], object], timeout_s: float) -> None:
        self.failed = False
        self._ask = ask
        self._timeout_s = timeout_s
        self._silent = False
        self._asked = 0.0
        self._asking = threading.Lock()

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Whatever fails inside is IndexUnavailable; so is, at once, every call to a server that is silent."""
        if self._silent and not self._answers_again():
            store_metrics.failed("index")
            raise IndexUnavailable("The vector index does not answer; try again.")
        began = time.monotonic()
        try:
            yield
        except FAILURES as error:
            self.failed = True
            if time.monotonic() - began >= IN_VAIN * self._timeout_s:
                self._asked, self._silent = time.monotonic(), True
            store_metrics.failed("index")
            log.warning("vector index: %s", error)
            raise IndexUnavailable("The vector index does not answer; try again.") from error

    def probe(self) -> None:
        """Ask a silent server whether it is back; to be called every second or so, outside of any transaction.

        Raises:
            IndexUnavailable: it is not.
        """
        if not self._silent:
            return
        with self._asking:
            try:
                self._ask(min(PROBE_S, self._timeout_s))
            except FAILURES as error:
                store_metrics.failed("index")
                raise IndexUnavailable("The vector index still does not answer.") from error
            finally:
                self._asked = time.monotonic()
            self._silent = False

    def _answers_again(self) -> bool:
        if time.monotonic() - self._asked < UNATTENDED_S or self._asking.locked():
            return False
        try:
            self.probe()
        except IndexUnavailable:
            return False
        return True
