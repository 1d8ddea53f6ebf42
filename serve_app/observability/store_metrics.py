"""Durations and failures of calls to the stores, reported to a listener.

The stores do not depend on the metrics library. A replica registers its listener here when it starts, one for all
stages in its process. Without a listener, as in commands, each call here costs one comparison.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Literal, Protocol

Store = Literal["index", "records", "images"]
"""The vector index (Milvus), the records (SQL database), and the images store (folder or object store)."""


class Listener(Protocol):
    """Receives the reports; called from any thread."""

    def store_seconds(self, store: str, operation: str, seconds: float) -> None:
        """Duration of a call, successful or not."""

    def store_failed(self, store: Store) -> None:
        """A store did not answer, or was not called because it had not answered before."""

    def index_differed(self, rows: int) -> None:
        """Rows of the vector index did not have the templates of the records."""


_listener: Listener | None = None


def listen(listener: Listener | None) -> None:
    """Set the listener of this process, in place of the previous one; None removes it."""
    global _listener
    _listener = listener


def failed(store: Store) -> None:
    """Report a failure. Must be called exactly where a failure is turned into StoreUnavailable."""
    if _listener is not None:
        _listener.store_failed(store)


def index_differed(rows: int) -> None:
    """Report rows of the vector index that did not have the templates of the records."""
    if _listener is not None:
        _listener.index_differed(rows)


def timed(name: str, inner: AbstractContextManager[Any]) -> AbstractContextManager[None]:
    """A context manager that runs ``inner`` and reports its duration; ``name`` is as in ``index search``."""
    return inner if _listener is None else _timed(_listener, name, inner)


@contextmanager
def _timed(listener: Listener, name: str, inner: AbstractContextManager[Any]) -> Iterator[None]:
    store, _, operation = name.partition(" ")
    began = time.perf_counter()
    try:
        with inner:
            yield
    finally:
        listener.store_seconds(store, operation, time.perf_counter() - began)
