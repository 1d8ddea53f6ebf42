"""What the stages count. The plain class counts nothing; inside a Serve replica :class:`ServeMetrics` exports it all.

Exported through Ray's Prometheus endpoint, tagged by Serve with application, deployment and replica, and by us with the
stage: ``facegraph_operation_seconds{operation}``, ``facegraph_batch_size``, ``facegraph_batch_wait_seconds``,
``facegraph_faces_per_image``.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any


class Metrics:
    """Counts nothing: for stages outside Ray."""

    def __init__(self, stage: str) -> None:
        pass

    @contextmanager
    def operation(self, name: str) -> Iterator[None]:
        """Time the enclosed work as operation ``name``."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.operation_seconds(name, time.perf_counter() - started)

    def operation_seconds(self, name: str, seconds: float) -> None:
        """An operation took so many seconds, whether it succeeded or not."""

    def batch(self, size: int, waited: float, ran: float) -> None:
        """A batch of ``size`` items ran for ``ran`` seconds after its oldest item had waited for ``waited``."""

    def faces(self, count: int) -> None:
        """So many faces were found on a picture."""


class ServeMetrics(Metrics):
    """Exports through ``ray.serve.metrics``; only inside a replica.

    Args:
        stage: value of the tag ``stage`` on all that it counts.
    """

    def __init__(self, stage: str) -> None:
        self._tags = {"stage": stage}
        self._seconds, self._batch_size, self._batch_wait, self._faces = _histograms()

    def operation_seconds(self, name: str, seconds: float) -> None:
        """See :class:`Metrics`."""
        self._seconds.observe(seconds, {**self._tags, "operation": name})

    def batch(self, size: int, waited: float, ran: float) -> None:
        """See :class:`Metrics`."""
        self._batch_size.observe(size, self._tags)
        self._batch_wait.observe(waited, self._tags)

    def faces(self, count: int) -> None:
        """See :class:`Metrics`."""
        self._faces.observe(count, self._tags)


@cache  # a metric may be registered once in a process, and several stages may share one
def _histograms() -> tuple[Any, Any, Any, Any]:
    from ray.serve.metrics import Histogram  # Ray is needed in replicas only

    seconds = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10]
    tags: Any = ("stage",)  # Ray declares a tuple of one where it takes any number
    counts = [0.5, 1, 2, 4, 8, 16, 32, 64, 128]
    return (
        Histogram("facegraph_operation_seconds", "Time of one operation.", seconds, (*tags, "operation")),
        Histogram("facegraph_batch_size", "Faces in one model call.", counts, tags),
        Histogram("facegraph_batch_wait_seconds", "Wait of a batch's oldest face.", seconds, tags),
        Histogram("facegraph_faces_per_image", "Faces on a picture.", counts, tags),
    )
