from __future__ import annotations

import asyncio
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
    world.matcher.failure = failure
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
