"""Prometheus metrics of the stages and stores.

Inside a Serve replica :class:`ServeMetrics` exports them through Ray's Prometheus endpoint; outside Ray the base class
:class:`Metrics` discards them. Serve adds the tags application, deployment and replica, this module adds the stage:
``facegraph_operation_seconds{operation}``, ``facegraph_operation_failures_total{operation, error}``,
``facegraph_batch_size``, ``facegraph_batch_wait_seconds``, ``facegraph_batch_queue``, ``facegraph_faces_per_image``,
``facegraph_outcomes_total{outcome}`` (live, spoof, match, no_match), ``facegraph_models_total{model, provider}``.
Metrics of the stores have no stage, since stages in one process share them: ``facegraph_store_seconds{store,
operation}``, ``facegraph_store_failures_total{store}``, ``facegraph_index_differences_total``. There are no gauges: Ray
2.60 does not export those that a replica sets.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from types import SimpleNamespace
from typing import Any

from serve_app.errors import FacegraphError
from serve_app.observability import tracing
from serve_app.observability.store_metrics import Store

UNEXPECTED = "internal_error"
"""Label of exceptions that are not from :mod:`serve_app.errors`."""

COUNT_BOUNDS = [0.001, 1.999, 2.001, 3.999, 4.001, 8.999, 16.999, 32.999, 64.999]
"""Of histograms of whole numbers. Ray exports only the counts between bounds, and as their sum that of the buckets'
midpoints: with these bounds they are 0 (0.0005), 1, 2, 3 and 4 for just these numbers."""


class Metrics:
    """Metrics interface of a stage; this class discards everything, for stages outside Ray."""

    def __init__(self, stage: str) -> None:
        self._stage = stage

    @contextmanager
    def operation(self, name: str) -> Iterator[None]:
        """Measure the enclosed work as operation ``name``; it is also a span of the request's trace."""
        started = time.perf_counter()
        try:
            with tracing.operation(f"{self._stage} {name}"):
                yield
        except Exception as error:
            self.operation_failed(name, error.code if isinstance(error, FacegraphError) else UNEXPECTED)
            raise
        finally:
            self.operation_seconds(name, time.perf_counter() - started)

    def operation_seconds(self, name: str, seconds: float) -> None:
        """Record the duration of an operation, successful or not."""

    def operation_failed(self, name: str, error: str) -> None:
        """Record that an operation failed; ``error`` is the error's code."""

    def batch(self, size: int, waited: float, ran: float, left: int) -> None:
        """Record a batch of ``size`` items: seconds that the oldest one waited and that it ran, items that wait now."""

    def model(self, model: str, provider: str) -> None:
        """Record that a model was opened on an execution provider; called once per model."""

    def faces(self, count: int) -> None:
        """Record the number of faces found on an image."""

    def outcomes(self, outcomes: Iterable[str]) -> None:
        """Record the decision for each face: ``live``, ``spoof``, ``match`` or ``no_match``."""


class ServeMetrics(Metrics):
    """Exports through ``ray.serve.metrics``, with the tag ``stage``; works only inside a replica."""

    def __init__(self, stage: str) -> None:
        super().__init__(stage)
        self._tags = {"stage": stage}
        self._series = _series()

    def operation_seconds(self, name: str, seconds: float) -> None:
        """See :class:`Metrics`."""
        self._series.seconds.observe(seconds, {**self._tags, "operation": name})

    def operation_failed(self, name: str, error: str) -> None:
        """See :class:`Metrics`."""
        self._series.failures.inc(1, {**self._tags, "operation": name, "error": error})

    def batch(self, size: int, waited: float, ran: float, left: int) -> None:
        """See :class:`Metrics`."""
        self._series.batch_size.observe(size, self._tags)
        self._series.batch_wait.observe(waited, self._tags)
        self._series.batch_queue.observe(left, self._tags)

    def model(self, model: str, provider: str) -> None:
        """See :class:`Metrics`."""
        self._series.models.inc(1, {**self._tags, "model": model, "provider": provider})

    def faces(self, count: int) -> None:
        """See :class:`Metrics`."""
        self._series.faces.observe(count, self._tags)

    def outcomes(self, outcomes: Iterable[str]) -> None:
        """See :class:`Metrics`."""
        for outcome in outcomes:
            self._series.outcomes.inc(1, {**self._tags, "outcome": outcome})


class StoreMetrics:
    """Exports the store metrics; implements ``store_metrics.Listener``. Works only inside a replica."""

    def __init__(self) -> None:
        self._series = _series()

    def store_seconds(self, store: str, operation: str, seconds: float) -> None:
        """See :class:`~serve_app.observability.store_metrics.Listener`."""
        self._series.store_seconds.observe(seconds, {"store": store, "operation": operation})

    def store_failed(self, store: Store) -> None:
        """See :class:`~serve_app.observability.store_metrics.Listener`."""
        self._series.store_failures.inc(1, {"store": store})

    def index_differed(self, rows: int) -> None:
        """See :class:`~serve_app.observability.store_metrics.Listener`."""
        self._series.index_differences.inc(rows)


@cache  # a metric can be registered once per process, and several stages can share a process
def _series() -> SimpleNamespace:
    from ray.serve.metrics import Counter, Histogram  # Ray is needed in replicas only

    seconds = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10]
    tags: Any = ("stage",)  # Ray's annotations say one-element tuple, but any length works
    store: Any = ("store",)
    by_error = (*tags, "operation", "error")
    queue = "Faces that waited for the next batch when one ended."
    by_operation = (*store, "operation")
    return SimpleNamespace(
        seconds=Histogram("facegraph_operation_seconds", "Time of one operation.", seconds, (*tags, "operation")),
        failures=Counter("facegraph_operation_failures", "Operations that failed.", by_error),
        batch_size=Histogram("facegraph_batch_size", "Faces in one model call.", COUNT_BOUNDS, tags),
        batch_wait=Histogram("facegraph_batch_wait_seconds", "Wait of a batch's oldest face.", seconds, tags),
        batch_queue=Histogram("facegraph_batch_queue", queue, COUNT_BOUNDS, tags),
        models=Counter("facegraph_models", "Models that were opened.", (*tags, "model", "provider")),
        faces=Histogram("facegraph_faces_per_image", "Faces on an image.", COUNT_BOUNDS, tags),
        outcomes=Counter("facegraph_outcomes", "Decisions about faces.", (*tags, "outcome")),
        store_seconds=Histogram("facegraph_store_seconds", "Time of one call of a store.", seconds, by_operation),
        store_failures=Counter("facegraph_store_failures", "Calls that a store did not answer.", store),
        index_differences=Counter("facegraph_index_differences", "Index rows that differed from the records."),
    )


def http_observer() -> Callable[[str, str, int, float], None]:
    """A function that counts HTTP requests in the series of Serve's proxy, for a replica that listens without it.

    Its arguments are method, route, status and seconds.
    """
    from ray.serve.metrics import Counter, Histogram

    # Ray's annotations say one-element tuple, but any length works. Serve adds the tag "application".
    tags: Any = ("route", "method", "status_code")
    errors: Any = ("route", "method", "error_code")
    done = Counter("serve_num_http_requests", "HTTP requests.", tags)
    failed = Counter("serve_num_http_error_requests", "HTTP requests that were not answered with success.", errors)
    bounds = [1.0, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 60000]
    took = Histogram("serve_http_request_latency_ms", "Time of HTTP requests.", bounds, tags)

    def observe(method: str, route: str, status: int, seconds: float) -> None:
        common = {"route": route, "method": method}
        done.inc(tags={**common, "status_code": str(status)})
        took.observe(seconds * 1e3, {**common, "status_code": str(status)})
        if status >= 400:
            failed.inc(tags={**common, "error_code": str(status)})

    return observe
