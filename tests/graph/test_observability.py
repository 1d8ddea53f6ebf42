"""Monitoring: a real Prometheus with the shipped rules scrapes a running instance; log lines have the request's id."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import yaml

from scripts.servers.ports import free_port
from tests import photos
from tests.graph.service import ROOT, RunningService

pytestmark = pytest.mark.graph

DEPLOY = ROOT / "deploy"
WITHIN_S = 240
"""Ray exports what it counted every 10 s; a busy machine takes longer."""


@pytest.fixture(scope="module")
def prometheus(service: RunningService, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Runs as shipped but for the target's port, on pictures that were searched for."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("Prometheus is not installed (Debian: prometheus)")
    folder = tmp_path_factory.mktemp("prometheus")
    config = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())
    config["global"] |= {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["scrape_configs"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{service.metrics_port}"]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    shutil.copy(DEPLOY / "prometheus/alerts.yml", folder)
    with service.client() as client:
        client.post("/v1/collections", json={"name": "observed"})
        for picture in (photos.astronaut(), photos.grace_hopper()):
            asked = {"collections": "observed", "liveness": "true"}
            assert client.post("/v1/search", files={"image": picture}, data=asked).status_code == 200
        assert client.post("/v1/search", files={"image": b"no picture"}, data=asked).status_code == 415
    assert service.enrol_without_a_store(photos.astronaut(), "failing", "prometheus").status_code == 503
    # Serve counts what waits for a deployment where its handle is used, which only other programs do in this topology.
    example = [sys.executable, ROOT / "examples/handle_client.py"]
    environment = {**os.environ, "RAY_ADDRESS": service.ray_address()}
    subprocess.run(example, env=environment, check=True, capture_output=True, timeout=300)
    port = free_port()
    arguments = ["--config.file=prometheus.yml", "--storage.tsdb.path=data", f"--web.listen-address=127.0.0.1:{port}"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, *arguments], cwd=folder, stdout=log, stderr=log)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", trust_env=False, timeout=60) as client:
            yield client
    finally:
        process.terminate()
        process.wait(20)


def ask(prometheus: httpx.Client, expression: str) -> list[dict[str, Any]]:
    """The series of an expression; none while Prometheus is starting."""
    try:
        answer = prometheus.get("/query", params={"query": expression}).json()
    except httpx.TransportError:
        return []
    assert answer["status"] == "success", f"{expression}: {answer}"
    found: list[dict[str, Any]] = answer["data"]["result"]
    return found


def wait_for(prometheus: httpx.Client, expression: str) -> list[dict[str, Any]]:
    """The series of an expression as soon as there are any."""
    deadline = time.monotonic() + WITHIN_S
    while time.monotonic() < deadline:
        if found := ask(prometheus, expression):
            return found
        time.sleep(0.5)
    raise AssertionError(f"Prometheus has nothing for {expression}")


@pytest.mark.parametrize(
    "series",
    [
        'facegraph_operation_seconds_count{stage="detector", operation="detect"}',
        'facegraph_operation_seconds_count{stage="matcher", operation="search"}',
        'facegraph_operation_failures_total{stage="detector", error="image_format_unsupported"}',
        'facegraph_batch_size_count{stage="embedder"}',
        'facegraph_batch_wait_seconds_count{stage="liveness"}',
        'facegraph_faces_per_image_count{stage="detector"}',
        'facegraph_batch_queue_count{stage="embedder"}',
        'facegraph_models_total{stage="detector", model="yunet-2023mar", provider="cpu"}',
        'facegraph_models_total{stage="embedder", model="sface-2021dec", provider="cpu"}',
        'facegraph_models_total{stage="liveness", provider="cpu"}',
        'facegraph_outcomes_total{stage="liveness"}',
        'facegraph_outcomes_total{stage="matcher", outcome="no_match"}',
        'facegraph_store_seconds_count{store="index", operation="search"}',
        'facegraph_store_seconds_count{store="records", operation="write"}',
        'facegraph_store_seconds_count{store="images", operation="write"}',
        'facegraph_store_failures_total{store="images"}',
        'serve_http_request_latency_ms_count{route="/v1/search"}',
        'serve_num_http_error_requests_total{error_code="415"}',
    ],
)
def test_every_stage_is_counted(prometheus: httpx.Client, series: str) -> None:
    assert all(float(each["value"][1]) > 0 for each in wait_for(prometheus, f"ray_{series}"))


def panels() -> list[dict[str, Any]]:
    """Of the dashboard."""
    found: list[dict[str, Any]] = json.loads((DEPLOY / "grafana/facegraph.json").read_text())["panels"]
    return found


def dashboard() -> list[str]:
    """Expressions of the dashboard, as Grafana would send them."""
    asked = [target["expr"] for panel in panels() for target in panel["targets"]]
    return [expression.replace("$__rate_interval", "1m") for expression in asked]


def test_every_panel_of_the_dashboard_shows_something(prometheus: httpx.Client) -> None:
    for expression in dashboard():
        wait_for(prometheus, expression)


def test_the_alerts_are_loaded_and_silent(prometheus: httpx.Client) -> None:
    wait_for(prometheus, "ray_serve_deployment_replica_healthy == 1")
    (group,) = prometheus.get("/rules").json()["data"]["groups"]
    shipped = yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text())["groups"][0]["rules"]
    assert [rule["name"] for rule in group["rules"]] == [rule["alert"] for rule in shipped]
    assert {rule["name"] for rule in group["rules"] if rule.get("lastError")} == set()
    assert "FacegraphDown" not in {rule["name"] for rule in group["rules"] if rule["state"] == "firing"}


def test_a_store_that_failed_once_is_noticed(prometheus: httpx.Client) -> None:
    """Its counter appears with the failure, and never grows: a rate alone stays 0."""
    wait_for(prometheus, 'ALERTS{alertname="FacegraphStoreFails", store="images"}')


def test_panels_show_what_is(prometheus: httpx.Client) -> None:
    """Each model is open once, in the one replica, and the panel of queues has a value."""
    asked = {panel["title"]: panel["targets"][0]["expr"].replace("$__rate_interval", "5m") for panel in panels()}
    opened = wait_for(prometheus, asked["Open models"])
    assert {each["metric"]["model"]: each["value"][1] for each in opened}.items() >= {
        "yunet-2023mar": "1",
        "sface-2021dec": "1",
    }.items()
    assert {each["value"][1] for each in opened} == {"1"}
    waiting = re.sub(r"rate\((\w+)\[5m\]\)", r"(\1)", asked["Faces that wait for a batch"])  # of all time
    assert {each["metric"]["stage"] for each in wait_for(prometheus, waiting)} >= {"embedder"}


def test_alerts_and_panels_name_series_that_exist(prometheus: httpx.Client) -> None:
    wait_for(prometheus, "ray_facegraph_outcomes_total")
    known = set(prometheus.get("/label/__name__/values").json()["data"])
    text = (DEPLOY / "prometheus/alerts.yml").read_text() + "".join(dashboard())
    assert set(re.findall(r"ray_(?:facegraph|serve)_\w+", text)) <= known


def test_the_log_tells_which_request_met_what(service: RunningService) -> None:
    answer = service.enrol_without_a_store(photos.astronaut(), "logged", "the-logged-one")
    assert (answer.status_code, answer.json()["error"]["request_id"]) == (503, "the-logged-one")
    mine = service.logged("Ingress", "the-logged-one")
    assert ("WARNING", "images store") in {(line["levelname"], line["message"].split(":")[0]) for line in mine}
