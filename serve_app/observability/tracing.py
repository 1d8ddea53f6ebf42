"""Distributed tracing: how long each step of a request took, in which stage and process.

Tracing is off by default. Then OpenTelemetry is not imported, and each call here costs one comparison.

A trace begins with an HTTP request or a call of the Python handle; there it is decided whether it is recorded. Deeper
in the call, :func:`span` adds a span to the recorded trace, and does nothing without one, so background work leaves no
traces. Calls of stages in other processes carry the trace context along (:data:`~serve_app.request_context.Carrier`,
:mod:`serve_app.serving.remote`).

Ray Serve's own tracing is not used: each of its processes decides separately which requests to record, so traces are
incomplete unless all requests are recorded.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from serve_app.observability import store_metrics
from serve_app.request_context import Carrier

if TYPE_CHECKING:
    from serve_app.observability.trace_recorder import Moment, Recorder, RequestSpan
    from serve_app.settings import Settings

NOTHING: AbstractContextManager[Any] = nullcontext()

_recorder: Recorder | None = None  # one per process; several stages can share it


def start(settings: Settings, process: str) -> None:
    """Start recording spans in this process if the settings ask for it. Does nothing if it is started already.

    ``process`` is the name of the deployment that runs here, shown in the traces.

    Raises ConfigurationError if a package is missing, or the traces' folder cannot be written to.
    """
    global _recorder
    if settings.tracing.exporter != "none" and _recorder is None:
        from serve_app.observability.trace_recorder import open_recorder

        _recorder = open_recorder(settings, process)


def check(settings: Settings) -> None:
    """Raise ConfigurationError unless the packages for the configured exporter are installed."""
    if settings.tracing.exporter == "otlp":
        from serve_app.observability.trace_recorder import otlp_exporter

        otlp_exporter()


def stop() -> None:
    """Export the remaining spans and stop recording."""
    global _recorder
    recorder, _recorder = _recorder, None
    if recorder is not None:
        recorder.close()


def active() -> bool:
    """Whether this process records spans."""
    return _recorder is not None


def request_span(name: str, headers: Carrier, request_id: str) -> AbstractContextManager[RequestSpan | None]:
    """Span of a request from outside: in the caller's trace if ``headers`` have a ``traceparent``, else in a new one.

    The request's id becomes an attribute of all its spans.
    """
    return NOTHING if _recorder is None else _recorder.request_span(name, headers, request_id)


def operation(name: str) -> AbstractContextManager[None]:
    """Span of work inside a stage, in the current recorded trace; does nothing without one."""
    return NOTHING if _recorder is None else _recorder.span(name)


def span(name: str) -> AbstractContextManager[None]:
    """As :func:`operation`, for a call of a store; ``name`` is store and operation, as in ``index search``.

    The call is also timed, with or without a trace (:mod:`.store_metrics`).
    """
    return store_metrics.timed(name, operation(name))


def outgoing(name: str) -> AbstractContextManager[Carrier | None]:
    """Span of a call to another process; yields the trace context to send along, None without a recorded trace."""
    return NOTHING if _recorder is None else _recorder.outgoing(name)


def continued(carrier: Carrier | None) -> AbstractContextManager[None]:
    """Continue the trace of the calling process; does nothing if ``carrier`` is None."""
    return NOTHING if _recorder is None or carrier is None else _recorder.continued(carrier)


def here() -> Moment | None:
    """The current position in the recorded trace, for :func:`batch`; None without one."""
    return None if _recorder is None else _recorder.here()


def batch(name: str, moments: Iterable[Moment | None], began: float, ended: float) -> None:
    """Add a span for a batch of several callers' items to each of their traces.

    ``moments`` has for each item the :func:`here` of its caller; the times are of :func:`time.perf_counter`.
    """
    if _recorder is not None:
        _recorder.batch(name, moments, began, ended)
