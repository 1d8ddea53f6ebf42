"""What the stages count. The plain class counts nothing; inside a Serve replica :class:`ServeMetrics` exports it all.

Exported through Ray's Prometheus endpoint, tagged by Serve with application, deployment and replica:
``facegraph_operation_seconds{operation}``, ``facegraph_batch_size``, ``facegraph_batch_wait_seconds``,
``facegraph_faces_per_image``.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Metrics:
    """Counts nothing: for stages outside Ray."""

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
    """Exports through ``ray.serve.metrics``; only inside a replica."""

    def __init__(self) -> None:
        from ray.serve.metrics import Histogram  # Ray is needed in replicas only

        seconds = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10]
        self._seconds = Histogram(
            "facegraph_operation_seconds",
            description="Time of one operation of a stage.",
            boundaries=seconds,
            tag_keys=("operation",),
        )
        self._batch_size = Histogram(
            "facegraph_batch_size", description="Faces in one model call.", boundaries=[1, 2, 4, 8, 16, 32, 64, 128]
        )
        self._batch_wait = Histogram(
            "facegraph_batch_wait_seconds", description="Wait of a batch's oldest face.", boundaries=seconds
        )
        self._faces = Histogram(
            "facegraph_faces_per_image", description="Faces on a picture.", boundaries=[0.5, 1, 2, 4, 8, 16, 32, 64]
        )

    def operation_seconds(self, name: str, seconds: float) -> None:
        """See :class:`Metrics`."""
        self._seconds.observe(seconds, {"operation": name})

    def batch(self, size: int, waited: float, ran: float) -> None:
        """See :class:`Metrics`."""
        self._batch_size.observe(size)
        self._batch_wait.observe(waited)

    def faces(self, count: int) -> None:
        """See :class:`Metrics`."""
        self._faces.observe(count)
