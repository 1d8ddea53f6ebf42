"""Calls of the stores, told to whoever counts them: how long each took, and which store does not answer.

The stores do not know who counts. A replica puts its listener here when it starts, one for all stages in its process;
without one, as in commands, each call here is a comparison.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Literal, Protocol

Store = Literal["index", "records", "images"]
"""Milvus; the SQL database; the folder or object store of face images."""


class Listener(Protocol):
    """Hears of calls from any thread."""

    def store_seconds(self, store: str, operation: str, seconds: float) -> None:
        """A call took so many seconds, whether it succeeded or not."""

    def store_failed(self, store: Store) -> None:
        """A store did not answer, or was not asked since it had not answered before."""


_listener: Listener | None = None


def listen(listener: Listener | None) -> None:
    """Tell this one from now on, instead of the one before."""
    global _listener
    _listener = listener


def failed(store: Store) -> None:
    """To be called where a failure becomes StoreUnavailable, and nowhere else."""
    if _listener is not None:
        _listener.store_failed(store)


def timed(name: str, inner: AbstractContextManager[Any]) -> AbstractContextManager[None]:
    """``inner``, whose time is told.

    Args:
        name: the store and what is asked of it, as in ``index search``.
    """
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
