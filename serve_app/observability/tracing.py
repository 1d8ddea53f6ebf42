"""Traces: where the time of one request went, in which stage and which process.

Off unless the settings ask for it; then nothing of OpenTelemetry is imported, and each call here is one comparison.

A trace begins at a *door*, an HTTP request or a call of the Python handle, and there it is decided whether it is
recorded. Further in, a :func:`span` is added where a recorded trace is under way, and none is begun: house-keeping
leaves no traces. Calls of stages in other processes carry the :data:`Carrier` along (:mod:`serve_app.serving.remote`).

Ray Serve has tracing of its own. It is not used, since each of its processes decides anew which requests to record:
unless it records all of them, traces fall apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from serve_app.observability import store_metrics

if TYPE_CHECKING:
    from serve_app.observability.trace_recorder import Moment, Recorder, RequestSpan
    from serve_app.settings import Settings

Carrier = Mapping[str, str]
"""What another process needs to go on with a trace: the headers of W3C Trace Context and Baggage."""

NOTHING: AbstractContextManager[Any] = nullcontext()

_recorder: Recorder | None = None  # one in a process, which several stages may share


def start(settings: Settings, process: str) -> None:
    """Record spans in this process from now on, if the settings say so. Where it does already, nothing changes.

    Args:
        process: what runs here, for people: the name of the deployment.

    Raises:
        ConfigurationError: a package is missing, or the folder for the files cannot be written to.
    """
    global _recorder
    if settings.tracing.exporter != "none" and _recorder is None:
        from serve_app.observability.trace_recorder import open_recorder

        _recorder = open_recorder(settings, process)


def check(settings: Settings) -> None:
    """Raises ConfigurationError: a package that the settings need is missing."""
    if settings.tracing.exporter == "otlp":
        from serve_app.observability.trace_recorder import otlp_exporter

        otlp_exporter()


def stop() -> None:
    """Send what is still here and record no more."""
    global _recorder
    recorder, _recorder = _recorder, None
    if recorder is not None:
        recorder.close()


def active() -> bool:
    """Whether this process records spans."""
    return _recorder is not None


def request_span(name: str, headers: Carrier, request_id: str) -> AbstractContextManager[RequestSpan | None]:
    """A request from outside: a new trace, or the caller's own, if ``headers`` have a ``traceparent``."""
    return NOTHING if _recorder is None else _recorder.request_span(name, headers, request_id)


def operation(name: str) -> AbstractContextManager[None]:
    """What a stage does inside, as part of the recorded trace that is under way; without one, nothing."""
    return NOTHING if _recorder is None else _recorder.span(name)


def span(name: str) -> AbstractContextManager[None]:
    """The same of a call of a store, as ``index search``: timed besides, traced or not (:mod:`.store_calls`)."""
    return store_metrics.timed(name, operation(name))


def outgoing(name: str) -> AbstractContextManager[Carrier | None]:
    """A call of another process, as a span; gives what is to be sent along, None where there is no recorded trace."""
    return NOTHING if _recorder is None else _recorder.outgoing(name)


def continued(carrier: Carrier | None) -> AbstractContextManager[None]:
    """Continue the trace of another process, if there is one."""
    return NOTHING if _recorder is None or carrier is None else _recorder.continued(carrier)


def here() -> Moment | None:
    """This place of the recorded trace that is under way, for :func:`batch`; None without one."""
    return None if _recorder is None else _recorder.here()


def batch(name: str, moments: Iterable[Moment | None], began: float, ended: float) -> None:
    """A batch was worked on for several callers at once: each of their traces gets a span of it.

    Args:
        moments: where each item was handed in.
        began, ended: by :func:`time.perf_counter`.
    """
    if _recorder is not None:
        _recorder.batch(name, moments, began, ended)
