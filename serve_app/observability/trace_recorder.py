"""Trace recorder on OpenTelemetry; imported only if tracing is switched on."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from serve_app import __version__
from serve_app.errors import ConfigurationError, FacegraphError
from serve_app.request_context import Carrier
from serve_app.settings import Settings

try:
    from opentelemetry import baggage, trace
    from opentelemetry.baggage.propagation import W3CBaggagePropagator
    from opentelemetry.context import Context, attach, detach, get_current
    from opentelemetry.propagators.composite import CompositePropagator
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
    from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
    from opentelemetry.trace import Span, SpanKind, Status, StatusCode
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
except ImportError as missing:
    raise ConfigurationError(f'Tracing needs a package ({missing.name}): pip install "facegraph[tracing]".') from None

REQUEST_ID = "facegraph.request_id"
"""Attribute of every span and key in the baggage: the request's id, also found in the response and the log."""

Moment = Context

_FROM_OUTSIDE = TraceContextTextMapPropagator()  # clients' baggage is ignored
_BETWEEN_PROCESSES = CompositePropagator([_FROM_OUTSIDE, W3CBaggagePropagator()])


class RequestSpan:
    """Span of a request that is being processed."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def answered(self, status: int, name: str = "", **attributes: str) -> None:
        """Set the HTTP status, further attributes and, if ``name`` is not empty, a more precise name of the span."""
        if name:
            self._span.update_name(name)
        self._span.set_attributes({"http.response.status_code": status, **attributes})
        if status >= 500:
            self._span.set_status(Status(StatusCode.ERROR))


class Recorder:
    """Records spans with its own tracer provider, which :meth:`close` closes.

    It is not OpenTelemetry's global provider, so other libraries record nothing.
    """

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("facegraph", __version__)

    def close(self) -> None:
        """Export the waiting spans and close the provider."""
        self._provider.shutdown()

    @contextmanager
    def request_span(self, name: str, headers: Carrier, request_id: str) -> Iterator[RequestSpan]:
        """See :func:`serve_app.observability.tracing.request_span`."""
        context = baggage.set_baggage(REQUEST_ID, request_id, _FROM_OUTSIDE.extract(headers))
        with self._within(name, context, SpanKind.SERVER) as span:
            yield RequestSpan(span)

    @contextmanager
    def span(self, name: str) -> Iterator[None]:
        """See :func:`serve_app.observability.tracing.span`."""
        moment = self.here()
        with nullcontext() if moment is None else self._within(name, moment, SpanKind.INTERNAL):
            yield

    @contextmanager
    def outgoing(self, name: str) -> Iterator[Carrier | None]:
        """See :func:`serve_app.observability.tracing.outgoing`."""
        moment = self.here()
        if moment is None:
            yield None
            return
        with self._within(name, moment, SpanKind.CLIENT):
            carrier: dict[str, str] = {}
            _BETWEEN_PROCESSES.inject(carrier)
            yield carrier

    @contextmanager
    def continued(self, carrier: Carrier) -> Iterator[None]:
        """See :func:`serve_app.observability.tracing.continued`."""
        token = attach(_BETWEEN_PROCESSES.extract(carrier, Context()))
        try:
            yield
        finally:
            detach(token)

    def here(self) -> Moment | None:
        """See :func:`serve_app.observability.tracing.here`."""
        recorded = trace.get_current_span().get_span_context().trace_flags.sampled
        return get_current() if recorded else None

    def batch(self, name: str, moments: Iterable[Moment | None], began: float, ended: float) -> None:
        """See :func:`serve_app.observability.tracing.batch`."""
        items = list(moments)
        offset = time.time_ns() - int(time.perf_counter() * 1e9)
        for moment in {id(moment): moment for moment in items if moment is not None}.values():
            attributes = self._common(moment) | {"facegraph.batch.size": len(items)}
            span = self._tracer.start_span(name, moment, attributes=attributes, start_time=offset + int(began * 1e9))
            span.end(offset + int(ended * 1e9))

    @contextmanager
    def _within(self, name: str, context: Context, kind: SpanKind) -> Iterator[Span]:
        span = self._tracer.start_span(name, context, kind, self._common(context))
        token = attach(trace.set_span_in_context(span, context))
        try:
            yield span
        except BaseException as error:
            _note(span, error)
            raise
        finally:
            detach(token)
            span.end()

    def _common(self, context: Context) -> dict[str, Any]:
        return {REQUEST_ID: str(baggage.get_baggage(REQUEST_ID, context) or "")}


def _note(span: Span, error: BaseException) -> None:
    """Note an error's code on a span, never its message, which can name a person. Refusals do not count as errors."""
    refusal = isinstance(error, FacegraphError) and error.status < 500
    span.set_attribute("error.type", error.code if isinstance(error, FacegraphError) else type(error).__name__)
    if not refusal and not isinstance(error, asyncio.CancelledError | GeneratorExit):
        span.set_status(Status(StatusCode.ERROR))


def open_recorder(settings: Settings, process: str) -> Recorder:
    """Open a recorder with the exporter and sampling of the settings; ``process`` is the deployment's name.

    Raises ConfigurationError if a package is missing, or the traces' folder cannot be written to.
    """
    about = {
        "service.name": os.environ.get("OTEL_SERVICE_NAME") or "facegraph",
        "service.version": __version__,
        "service.instance.id": f"{socket.gethostname()}/{process}/{os.getpid()}",
        "facegraph.process": process,
    }
    # The process in which a trace begins decides whether it is recorded; all later spans follow that decision.
    sampler = ParentBased(TraceIdRatioBased(settings.tracing.sample_ratio))
    provider = TracerProvider(sampler, Resource.create(about), shutdown_on_exit=False)
    name = f"{process.lower()}-{socket.gethostname()}-{os.getpid()}.jsonl"
    to_file = settings.tracing.exporter == "file"
    exporter = FileExporter(settings.traces_dir / name) if to_file else otlp_exporter()()
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return Recorder(provider)


def otlp_exporter() -> type[SpanExporter]:
    """The exporter class that sends spans to a collector. Raises ConfigurationError if the package is not installed."""
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError:
        raise ConfigurationError(
            'tracing.exporter is "otlp", which needs another package: pip install "facegraph[tracing]".'
        ) from None
    return OTLPSpanExporter


class FileExporter(ConsoleSpanExporter):
    """Appends spans to a file, one JSON object per line. Raises ConfigurationError if the file cannot be written to."""

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = path.open("a", encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(f"Traces cannot be written to {path}: {error.strerror}.") from None
        super().__init__(out=self._file, formatter=lambda span: span.to_json(indent=None) + "\n")

    def shutdown(self) -> None:
        """Close the file."""
        self._file.close()
