"""Health checks, ``/v1/info``, ``/v1/status`` and metrics."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from fastapi.testclient import TestClient

from serve_app.api.app import create_app
from serve_app.api.native import meta
from serve_app.errors import StoreUnavailable
from tests.api.conftest import World, code


def test_health_needs_no_key_and_no_stages(world: World) -> None:
    world.embedder.failure = RuntimeError("broken")
    answer = world.client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_ready(world: World) -> None:
    answer = world.client.get("/readyz")
    assert answer.status_code == 200
    stages = dict.fromkeys(("detector", "liveness", "embedder", "matcher"), "ready")
    assert answer.json() == {"status": "ready", "stages": stages}


@pytest.mark.parametrize("failure", [StoreUnavailable("milvus at 10.0.0.7 is away"), RuntimeError("secret")])
def test_not_ready_names_the_stage_and_no_more(world: World, failure: Exception) -> None:
    world.faults.failure = failure
    answer = world.client.get("/readyz")
    assert code(answer) == (503, "unavailable")
    assert answer.json()["error"]["message"] == "Not ready: matcher."
    assert answer.json()["error"]["details"]["stages"]["detector"] == "ready"
    assert str(failure) not in answer.text
    assert answer.headers["retry-after"] == "1"


def test_a_silent_stage_is_not_waited_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent() -> Any:
        await asyncio.sleep(60)

    monkeypatch.setattr(meta, "READY_TIMEOUT_S", 0.05)
    monkeypatch.setattr(world.embedder, "ready", silent)
    answer = world.client.get("/readyz")
    assert code(answer) == (503, "unavailable")
    assert answer.json()["error"]["details"]["stages"]["embedder"] == "no answer"


def test_before_the_replica_has_started() -> None:
    client = TestClient(create_app(lambda: None))
    assert client.get("/healthz").status_code == 200
    assert code(client.get("/readyz")) == (503, "unavailable")
    assert code(client.get("/v1/info", headers={"X-API-Key": "any"})) == (503, "unavailable")


def test_info(world: World) -> None:
    info = world.call("GET", "/v1/info", world.search).json()
    assert info["version"] == "1.2.3"
    assert info["limits"]["max_image_bytes"] == 20_000
    assert info["image_formats"] == ["JPEG", "PNG", "WEBP", "BMP"]
    assert info["image_urls"] is True
    assert (info["key"]["name"], info["key"]["role"]) == ("search key", "search")
    assert "secret" not in info["key"]


def test_status_counts_what_went_through(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.monotonic()  # stands still, or earlier calls of other tests may leave the window between two looks
    monkeypatch.setattr(world.client.app.state.traffic, "_clock", lambda: now)
    before = world.call("GET", "/v1/status").json()["requests"]
    assert world.call("GET", "/v1/collections").status_code == 200
    world.faults.failure = RuntimeError("broken")
    assert world.call("GET", "/v1/collections").status_code == 500
    answer = world.call("GET", "/v1/status").json()
    after = answer["requests"]
    assert (after["calls"] - before["calls"], after["failed"] - before["failed"]) == (2, 1)
    assert after["in_flight"] == 0
    stages = {stage["name"]: stage for stage in answer["stages"]}
    assert {name: stage["ready"] for name, stage in stages.items()} == {
        "detector": True,
        "liveness": True,
        "embedder": True,
        "matcher": False,
    }
    assert stages["matcher"]["message"] == "unavailable"
    assert answer["ingress_replicas"] is None


def test_status_tells_the_replicas(world: World) -> None:
    world.context.replicas = lambda: {"Ingress": {"RUNNING": 1}, "Detector": {"RUNNING": 2, "STARTING": 1}}
    answer = world.call("GET", "/v1/status").json()
    assert answer["ingress_replicas"] == {"RUNNING": 1}
    replicas = {stage["name"]: stage["replicas"] for stage in answer["stages"]}
    assert replicas == {
        "detector": {"RUNNING": 2, "STARTING": 1},
        "liveness": None,
        "embedder": None,
        "matcher": None,
    }


def test_status_has_the_warnings_of_the_stages(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert world.call("GET", "/v1/status").json()["warnings"] == []

    async def ready() -> dict[str, object]:
        return {"warnings": {"index_outgrown": "too many"}}

    monkeypatch.setattr(world.matcher, "ready", ready)
    warnings = world.call("GET", "/v1/status").json()["warnings"]
    assert warnings == [{"code": "index_outgrown", "message": "too many"}]


def test_status_is_for_admins(world: World) -> None:
    assert code(world.call("GET", "/v1/status", world.enroll)) == (403, "forbidden")
