"""Traces: one for each request across all stages, and none where tracing is off."""

from __future__ import annotations

import asyncio
import json
import pickle
import subprocess
import sys
import threading
from collections.abc import Coroutine, Iterator
from contextvars import Context
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased
from opentelemetry.trace import SpanKind, StatusCode

from serve_app.api.tracing_middleware import TracedRequests
from serve_app.domain import Role
from serve_app.errors import ConfigurationError
from serve_app.gallery import open_keys
from serve_app.observability import tracing
from serve_app.observability.trace_recorder import REQUEST_ID, Recorder, open_recorder
from serve_app.serving.deployments import offer
from serve_app.serving.ingress import Ingress
from serve_app.serving.python_handle import PythonHandle
from serve_app.serving.ray_private import set_serve_request_id
from serve_app.serving.remote import Remote
from serve_app.serving.stage_kinds import STAGES, StageKind
from serve_app.settings import Settings
from serve_app.stages.batching import Batcher
from tests import photos

CLIENT_TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{CLIENT_TRACE}-b7ad6b7169203331-01"


class Handle:
    """Calls like a deployment's handle: what goes over is pickled, and runs in a context that knows nothing."""

    def __init__(self, replica: Any) -> None:
        self._replica = replica
        self.sent: list[Any] = []

    def options(self, *, _by_reference: bool) -> Handle:
        return self

    def __getattr__(self, name: str) -> Any:
        async def remote(*args: Any, **kwargs: Any) -> Any:
            self.sent.append(kwargs["request_context"].trace)
            args, kwargs = pickle.loads(pickle.dumps((args, kwargs)))
            work = getattr(self._replica, name)(*args, **kwargs)
            return await asyncio.get_running_loop().create_task(work, context=Context())

        return type("Method", (), {"remote": staticmethod(remote)})


def offered(stage: Any, kind: StageKind) -> Any:
    """What a replica offers of a stage."""
    replica = SimpleNamespace()
    offer(replica, stage, kind.contract)
    return replica


class World:
    """The HTTP application over real stages, each behind a handle."""

    def __init__(self, folder: Path) -> None:
        settings = Settings(data_dir=folder, model_dir=photos.model_dir())
        self.replicas = {name: kind.make(settings) for name, kind in STAGES.items()}
        self.handles = {name: Handle(offered(stage, STAGES[name])) for name, stage in self.replicas.items()}
        remotes = {name: Remote(handle, STAGES[name], 1) for name, handle in self.handles.items()}  # type: ignore[arg-type]
        self.ingress = Ingress(settings, remotes)
        keys = open_keys(settings)
        self.key = keys.create("0" * 32, "tests", Role.ADMIN)[1]
        keys.close()

    def ask(self, *requests: tuple[str, str, dict[str, Any]]) -> list[httpx.Response]:
        """Answers to (method, path, options), one after the other, by an application that is made for them."""

        async def work() -> list[httpx.Response]:
            transport = httpx.ASGITransport(self.ingress.build_http_app())
            headers = {"X-API-Key": self.key}
            async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers) as client:
                return [await client.request(method, path, **options) for method, path, options in requests]

        return asyncio.run(work())

    def search(self, **headers: str) -> httpx.Response:
        """Of a picture with one face, with liveness where there is a model for it."""
        liveness = str(photos.liveness_installed()).lower()
        files, data = {"image": ("a.jpg", photos.astronaut())}, {"collections": "staff", "liveness": liveness}
        (answer,) = self.ask(("POST", "/v1/search", {"files": files, "data": data, "headers": headers}))
        return answer

    async def close(self) -> None:
        """Everything."""
        await self.ingress.close()
        for replica in self.replicas.values():
            await replica.close()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """With a collection and a person in it."""
    made = World(tmp_path_factory.mktemp("traced") / "data")
    picture = {"files": {"image": ("a.jpg", photos.astronaut())}}
    answers = made.ask(
        ("POST", "/v1/collections", {"json": {"name": "staff"}}),
        ("PUT", "/v1/collections/staff/persons/collins", picture),
    )
    assert [answer.status_code for answer in answers] == [201, 201]
    yield made
    asyncio.run(made.close())


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """What is recorded; all requests are, unless the client decided otherwise."""
    return record(monkeypatch, ParentBased(ALWAYS_ON))


def record(monkeypatch: pytest.MonkeyPatch, sampler: ParentBased) -> InMemorySpanExporter:
    provider, exporter = TracerProvider(sampler, shutdown_on_exit=False), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "_recorder", Recorder(provider))
    return exporter


def tree(spans: tuple[ReadableSpan, ...]) -> dict[str, str | None]:
    """The name of each span's parent; None: it is not among them."""
    names = {span.context.span_id: span.name for span in spans if span.context}
    return {span.name: names.get(span.parent.span_id) if span.parent else None for span in spans}


def test_a_search_is_one_trace_through_all_stages(world: World, recorded: InMemorySpanExporter) -> None:
    photos.need_liveness()
    answer = world.search(**{"X-Request-ID": "request-7"})
    assert answer.status_code == 200
    assert answer.headers["x-request-id"] == "request-7"
    spans = recorded.get_finished_spans()
    assert {span.context.trace_id for span in spans if span.context} == {spans[-1].context.trace_id}  # type: ignore[union-attr]
    assert {(span.attributes or {})[REQUEST_ID] for span in spans} == {"request-7"}
    parents = tree(spans)
    assert parents["POST /v1/search"] is None
    for stage, method, operation in [
        ("detector", "detect", "detect"),
        ("liveness", "score", "liveness"),
        ("embedder", "embed", "embed"),
        ("matcher", "search", "search"),
    ]:
        assert parents[f"call {STAGES[stage].title} {method}"] == "POST /v1/search"
        assert parents[f"{stage} {operation}"] == f"call {STAGES[stage].title} {method}"
    assert parents["embedder batch"] == "embedder embed"
    assert parents["liveness batch"] == "liveness liveness"
    assert parents["index search"] == "matcher search"
    request_span = spans[-1]
    assert request_span.kind is SpanKind.SERVER
    assert dict(request_span.attributes or {}) == {
        REQUEST_ID: "request-7",
        "http.request.method": "POST",
        "http.route": "/v1/search",
        "http.response.status_code": 200,
    }


def test_the_clients_trace_goes_on(world: World, recorded: InMemorySpanExporter) -> None:
    assert world.search(traceparent=TRACEPARENT, baggage=f"{REQUEST_ID}=forged").status_code == 200
    spans = recorded.get_finished_spans()
    assert {f"{span.context.trace_id:032x}" for span in spans if span.context} == {CLIENT_TRACE}
    ids = {str((span.attributes or {})[REQUEST_ID]) for span in spans}
    assert len(ids) == 1
    assert "forged" not in ids


def test_what_the_client_does_not_record_is_not_recorded(world: World, recorded: InMemorySpanExporter) -> None:
    assert world.search(traceparent=TRACEPARENT[:-1] + "0").status_code == 200
    assert recorded.get_finished_spans() == ()


def test_a_request_that_is_not_chosen_costs_later_stages_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = record(monkeypatch, ParentBased(ALWAYS_OFF))
    for handle in world.handles.values():
        handle.sent.clear()
    assert world.search().status_code == 200
    assert recorded.get_finished_spans() == ()
    assert {trace for handle in world.handles.values() for trace in handle.sent} == {None}


def test_a_refusal_is_no_failure_and_names_nobody(world: World, recorded: InMemorySpanExporter) -> None:
    (answer,) = world.ask(("GET", "/v1/collections/staff/persons/nobody-known", {}))
    assert answer.status_code == 404
    spans = {span.name: span for span in recorded.get_finished_spans()}
    assert (spans["matcher person"].attributes or {})["error.type"] == "person_not_found"
    assert {span.status.status_code for span in spans.values()} == {StatusCode.UNSET}
    request_span = spans["GET /v1/collections/{name}/persons/{person_id}"]
    assert (request_span.attributes or {})["http.response.status_code"] == 404
    assert "nobody-known" not in "".join(span.to_json() for span in spans.values())


def test_a_failure_is_one(recorded: InMemorySpanExporter) -> None:
    with pytest.raises(RuntimeError), tracing.request_span("GET", {}, "r"), tracing.span("stage work"):
        raise RuntimeError("a secret")
    spans = recorded.get_finished_spans()
    assert [span.status.status_code for span in spans] == [StatusCode.ERROR] * 2
    assert [(span.attributes or {})["error.type"] for span in spans] == ["RuntimeError"] * 2
    assert "a secret" not in "".join(span.to_json() for span in spans)


def test_looking_after_the_service_leaves_no_traces(world: World, recorded: InMemorySpanExporter) -> None:
    answers = world.ask(("GET", "/readyz", {}), ("GET", "/healthz", {}), ("GET", "/", {}))
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    with tracing.span("house-keeping"), tracing.outgoing("call matcher search") as carrier:
        assert carrier is None
    assert recorded.get_finished_spans() == ()


def test_a_batch_is_in_the_traces_of_all_its_callers(recorded: InMemorySpanExporter) -> None:
    async def work() -> None:
        batcher = Batcher[int, int](lambda items: items, max_batch=8, max_queue=8, name="embedder")

        async def caller(request_id: str, items: list[int]) -> None:
            with tracing.request_span("GET", {}, request_id):
                await batcher.submit(items)

        await asyncio.gather(caller("first", [1, 2]), caller("second", [3]), batcher.submit([4]))
        await batcher.close()

    asyncio.run(work())
    batches = [span for span in recorded.get_finished_spans() if span.name == "embedder batch"]
    assert {(span.attributes or {})[REQUEST_ID] for span in batches} == {"first", "second"}
    assert [(span.attributes or {})["facegraph.batch.size"] for span in batches] == [4, 4]
    assert all(0 <= (span.end_time or 0) - (span.start_time or 0) < 60e9 for span in batches)


def test_each_call_of_the_python_handle_is_a_trace(recorded: InMemorySpanExporter) -> None:
    class Service:
        async def search(self, *args: Any, **kwargs: Any) -> None:
            with tracing.span("matcher search"):
                pass

        async def ready(self) -> None:
            with tracing.span("matcher ready"):
                pass

    handle = PythonHandle()
    handle.service = Service()  # type: ignore[assignment]

    async def ask(call: Coroutine[Any, Any, Any]) -> None:
        set_serve_request_id("from-the-handle")
        await call

    Context().run(asyncio.run, ask(handle.ready()))
    assert recorded.get_finished_spans() == ()
    Context().run(asyncio.run, ask(handle.search_all_faces(b"", "staff")))
    spans = recorded.get_finished_spans()
    assert tree(spans) == {"matcher search": "handle search_all_faces", "handle search_all_faces": None}
    assert {(span.attributes or {})[REQUEST_ID] for span in spans} == {"from-the-handle"}


def test_switched_off_nothing_of_it_is_there(world: World) -> None:
    tracing.start(Settings(), "Ingress")
    assert not tracing.active()
    assert TracedRequests not in {layer.cls for layer in world.ingress.build_http_app().user_middleware}
    code = (
        "import sys, serve_app.observability.metrics as metrics, serve_app.stages.batching\n"
        "with metrics.Metrics('matcher').operation('search'): pass\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=240)


def test_traces_go_to_files(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, tracing={"exporter": "file"})
    recorder = open_recorder(settings, "Matcher")
    with recorder.request_span("GET", {}, "r"), recorder.span("matcher search"):
        pass
    recorder.close()
    (file,) = (tmp_path / "traces").glob("matcher-*.jsonl")
    spans = [json.loads(line) for line in file.read_text().splitlines()]
    assert [span["name"] for span in spans] == ["matcher search", "GET"]
    assert spans[0]["parent_id"] == spans[1]["context"]["span_id"]
    assert spans[0]["resource"]["attributes"]["facegraph.process"] == "Matcher"


def test_a_folder_that_cannot_be_written_to_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "traces").write_text("a file")
    with pytest.raises(ConfigurationError, match="Traces cannot be written"):
        open_recorder(Settings(data_dir=tmp_path, tracing={"exporter": "file"}), "Matcher")


def test_traces_go_to_a_collector(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    received: list[tuple[str, bytes]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
        recorder = open_recorder(Settings(data_dir=tmp_path, tracing={"exporter": "otlp"}), "Ingress")
        with recorder.request_span("GET", {}, "r"):
            pass
        recorder.close()
        server.shutdown()
    ((path, body),) = received
    assert path == "/v1/traces"
    (resource,) = ExportTraceServiceRequest.FromString(body).resource_spans
    about = {attribute.key: attribute.value.string_value for attribute in resource.resource.attributes}
    assert about["service.name"] == "facegraph"
    assert [span.name for scope in resource.scope_spans for span in scope.spans] == ["GET"]


def test_a_missing_package_is_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(ConfigurationError, match="facegraph\\[tracing\\]"):
        tracing.check(Settings(tracing={"exporter": "otlp"}))
    tracing.check(Settings())
