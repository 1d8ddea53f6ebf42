"""Traces: where the time of one request went, in which stage and which process.

Off unless the settings ask for it; then nothing of OpenTelemetry is imported, and each call here is one comparison.

A trace begins at a *door*, an HTTP request or a call of the Python handle, and there it is decided whether it is
recorded. Further in, a :func:`span` is added where a recorded trace is under way, and none is begun: house-keeping
leaves no traces. Calls of stages in other processes carry the :data:`Carrier` along (:mod:`serve_app.serving.remote`).

Ray Serve has tracing of its own. It is not used, since each of its processes decides anew which requests to record:
unless it records all of them, traces fall apart.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

from serve_app.observability import store_metrics

if TYPE_CHECKING:
    from serve_app.observability.trace_recorder import Moment, Recorder, RequestSpan
    from serve_app.settings import Settings

Carrier = Mapping[str, str]
"""What another process needs to go on with a trace: the headers of W3C Trace Context and Baggage."""

Class = TypeVar("Class", bound=type[Any])

UNTRACED = frozenset({"ready", "check_health", "close"})
"""Methods that look after a stage instead of using it."""

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


def continued(carrier: Carrier) -> AbstractContextManager[None]:
    """Go on with a trace that another process told of."""
    return NOTHING if _recorder is None else _recorder.continued(carrier)


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


def continues_traces(replica: Class) -> Class:
    """Class decorator: methods take ``trace_parent``, a :data:`Carrier`, beside what the stage's own take."""

    def continuing(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        @wraps(method)
        async def call(self: Any, *args: Any, trace_parent: Carrier | None = None, **kwargs: Any) -> Any:
            if trace_parent is None:
                return await method(self, *args, **kwargs)
            with continued(trace_parent):
                return await method(self, *args, **kwargs)

        return call

    return _each_method(replica, continuing)


def begins_traces(request_id: Callable[[], str]) -> Callable[[Class], Class]:
    """Class decorator: each call of a method is a door.

    Args:
        request_id: tells the id of the call that is under way.
    """

    def beginning(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        @wraps(method)
        async def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            if _recorder is None or _recorder.under_way():  # one method may call another
                return await method(self, *args, **kwargs)
            with _recorder.request_span(f"handle {method.__name__}", {}, request_id()):
                return await method(self, *args, **kwargs)

        return call

    return lambda replica: _each_method(replica, beginning)


def _each_method(replica: Class, wrapped: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Class:
    for name in dir(replica):
        method = getattr(replica, name)
        if not name.startswith("_") and name not in UNTRACED and inspect.iscoroutinefunction(method):
            setattr(replica, name, wrapped(method))
    return replica
