"""Start, stop and restart: nothing is lost, no process is left, and both are fast enough."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from scripts.servers.ports import free_port
from serve_app.cli.serve import STOP_WITHIN_S
from serve_app.client import Client
from serve_app.process_environment import node_environment
from tests import photos
from tests.graph.service import ROOT, RunningService, key_of_tenant, model_environment

pytestmark = [pytest.mark.graph, pytest.mark.slow, pytest.mark.timeout(900)]


def test_a_stop_is_clean_and_everything_is_found_again(tmp_path: Path) -> None:
    first = RunningService(tmp_path / "data", key=None).start()
    key = first.printed_key()
    with first.client(key) as api:
        api.post("/v1/collections", json={"name": "staff"}).raise_for_status()
        answer = api.put("/v1/collections/staff/persons/collins", files={"image": ("a.jpg", photos.astronaut())})
        assert answer.status_code == 201, answer.text
    assert key not in (tmp_path / "data" / "records.db").read_bytes().decode("latin-1")
    limit = STOP_WITHIN_S + 60  # killed by then; the rest is patience with a busy machine
    assert first.stop(signal.SIGTERM) < limit
    assert first.survivors() == []

    second = RunningService(tmp_path / "data", key=None)
    second.start()
    try:
        assert "fg_" not in second.log(), "a key is printed on the first start only"
        with second.client(key) as api:
            answer = api.post(
                "/v1/search", files={"image": ("a.jpg", photos.astronaut())}, data={"collections": "staff"}
            )
            assert answer.json()["faces"][0]["matches"][0]["person"]["id"] == "collins"
        assert second.stop(signal.SIGINT) < limit
        assert second.survivors() == []
    finally:
        second.stop()


def test_the_distributed_graph_does_the_same(tmp_path: Path) -> None:
    traced = {"FACEGRAPH_TRACING__EXPORTER": "file"}
    service = RunningService(tmp_path / "data", FACEGRAPH_TOPOLOGY="distributed", **traced).start()
    try:
        with service.client() as api:
            assert api.get("/v1/info").json()["topology"] == "distributed"
            api.post("/v1/collections", json={"name": "staff"}).raise_for_status()
            for person, photo in (("collins", photos.astronaut()), ("hopper", photos.grace_hopper())):
                path = f"/v1/collections/staff/persons/{person}"
                assert api.put(path, files={"image": ("a.jpg", photo)}).status_code == 201
            group = photos.group([photos.astronaut(), photos.grace_hopper()])
            answer = api.post(
                "/v1/search",
                files={"image": ("a.jpg", group)},
                data={"collections": "staff", "faces": "all", "liveness": "true", "min_score": "0"},
                headers={"X-Request-ID": "the-traced-one"},
            ).json()
            assert all(face["liveness"]["models"] for face in answer["faces"])
            # Errors of a stage in another process arrive as themselves.
            answer = api.post("/v1/detect", files={"image": ("a.jpg", b"not a picture")})
            assert (answer.status_code, answer.json()["error"]["code"]) == (415, "image_format_unsupported")
            answer = api.post("/v1/search", files={"image": ("a.jpg", group)}, data={"collections": "absent"})
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "collection_not_found")
            wanted = {
                ("Ingress", "POST /v1/search"),
                ("Ingress", "call embedder embed"),
                ("Detector", "detector detect"),
                ("Liveness", "liveness batch"),
                ("Embedder", "embedder batch"),
                ("Matcher", "index search"),
            }
            await_spans(tmp_path / "data/traces", "the-traced-one", wanted)
            # A line that a stage in another process writes has the id that the caller gave.
            answer = service.enrol_without_a_store(photos.astronaut(), "logged", "the-logged-one")
            assert (answer.status_code, answer.json()["error"]["request_id"]) == (503, "the-logged-one")
            await_warning(service, "Matcher", "the-logged-one", "images store")
            search_many_at_once(api, tmp_path / "data/traces")
            # A photograph larger than gRPC's usual limit for a message.
            large = photos.noisy(photos.astronaut(), side=2000)
            assert len(large) > 5 * 2**20
            answer = api.put("/v1/collections/staff/persons/large", files={"image": ("a.png", large)})
            assert answer.status_code == 201, answer.text
            for stage in ("Embedder", "Detector", "Matcher"):
                for process in service.replicas(stage):
                    process.kill()
                await_search(api, {200, 503})
    finally:
        service.stop()


def search_many_at_once(api: httpx.Client, traces: Path) -> None:
    """More than the stages take one by one: what is sent together comes apart again, each answer to its request."""
    pictures = [photos.astronaut(), photos.grace_hopper(), b"not a picture"]
    expected = [(200, "collins"), (200, "hopper"), (415, "image_format_unsupported")]

    def ask(number: int) -> tuple[int, str]:
        files, headers = {"image": ("a.jpg", pictures[number % 3])}, {"X-Request-ID": f"one-of-many-{number}"}
        answer = api.post("/v1/search", files=files, data={"collections": "staff"}, headers=headers)
        if answer.status_code != 200:
            return answer.status_code, answer.json()["error"]["code"]
        (match,) = answer.json()["faces"][0]["matches"]
        return answer.status_code, match["person"]["id"]

    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(ask, range(48)))
    assert answers == expected * 16
    for number in (28, 46):
        await_spans(traces, f"one-of-many-{number}", {("Detector", "detector detect"), ("Matcher", "index search")})


def await_spans(traces: Path, request_id: str, wanted: set[tuple[str, str]]) -> None:
    """Until one trace has these spans of a request, each with the process that it is of."""
    deadline = time.monotonic() + 120
    names: set[tuple[str, str]] = set()
    while not names >= wanted:
        assert time.monotonic() < deadline, f"missing: {wanted - names}"
        time.sleep(0.5)
        lines = [line for file in traces.iterdir() for line in file.read_text().splitlines(keepends=True)]
        spans = [json.loads(line) for line in lines if line.endswith("\n")]
        mine = [span for span in spans if span["attributes"]["facegraph.request_id"] == request_id]
        names = {(span["resource"]["attributes"]["facegraph.process"], span["name"]) for span in mine}
    assert len({span["context"]["trace_id"] for span in mine}) == 1


def await_warning(service: RunningService, deployment: str, request_id: str, begins: str) -> None:
    """Until a replica of the deployment has logged a warning of this request."""
    deadline = time.monotonic() + 60
    found: list[tuple[str, str]] = []
    while ("WARNING", begins) not in found:
        assert time.monotonic() < deadline, f"logged: {found}"
        time.sleep(0.5)
        lines = service.logged(deployment, request_id)
        found = [(line["levelname"], line["message"].split(":")[0]) for line in lines]


def await_search(api: httpx.Client, allowed: set[int]) -> None:
    """Until a search finds somebody; all answers before are among these."""
    deadline = time.monotonic() + 300
    status = 0
    while status != 200:
        assert time.monotonic() < deadline, "the stage did not come back"
        answer = api.post("/v1/search", files={"image": ("a.jpg", photos.astronaut())}, data={"collections": "staff"})
        status = answer.status_code
        assert status in allowed, answer.text
        time.sleep(0.2)
    assert answer.json()["faces"][0]["matches"]


@pytest.mark.parametrize("replica", ["Ingress", "Matcher"])
def test_a_killed_replica_comes_back_and_has_lost_nothing(service: RunningService, replica: str) -> None:
    photo, collection = photos.astronaut(), f"kept-{replica.lower()}"
    with service.client() as api:
        api.post("/v1/collections", json={"name": collection}).raise_for_status()
        # Another process opens and closes the records, as every command of the CLI does.
        key_of_tenant(service.data_dir, "visitor")
        path = f"/v1/collections/{collection}/persons/{collection}"
        assert api.put(path, files={"image": ("a.jpg", photo)}).status_code == 201
        victims = service.replicas(replica) or service.replicas("Ingress")  # one process may hold all stages
        for process in victims:
            process.kill()
        deadline = time.monotonic() + 300
        while True:
            assert time.monotonic() < deadline, "the service did not come back"
            with contextlib.suppress(httpx.TransportError):
                files, data = {"image": ("a.jpg", photo)}, {"collections": collection}
                answer = api.post("/v1/search", files=files, data=data)
                if answer.status_code == 200 and not {p.pid for p in victims} & {
                    p.pid for p in service.replicas(replica) or service.replicas("Ingress")
                }:
                    break
                assert answer.status_code in (200, 429, 503), answer.text
            time.sleep(0.5)
    assert answer.json()["faces"][0]["matches"][0]["person"]["id"] == collection


def test_a_taken_port_is_said_in_words(service: RunningService, tmp_path: Path) -> None:
    second = RunningService(tmp_path / "data", FACEGRAPH_PORT=str(service.port))
    with pytest.raises(AssertionError, match="cannot be used"):
        second.start()
    assert "Traceback" not in second.log()


def test_an_impossible_configuration_is_said_in_words(tmp_path: Path) -> None:
    service = RunningService(tmp_path / "data", FACEGRAPH_MATCHER__SERVE__AUTOSCALING__MAX_REPLICAS="2")
    with pytest.raises(AssertionError, match="milvus-lite"):
        service.start()
    assert "Traceback" not in service.log()


def test_servers_of_ray_that_end_while_they_start_are_started_again(tmp_path: Path) -> None:
    service = RunningService(tmp_path / "data", RAY_raylet_start_wait_time_s="10")
    with ThreadPoolExecutor(1) as pool:
        killed = pool.submit(_kill_first_raylet)
        try:
            service.start()
            assert killed.result()
            assert "trying a second time" in service.log()
        finally:
            service.stop()
    assert service.survivors() == []


def _kill_first_raylet() -> bool:
    others = {process.pid for process in psutil.process_iter()}
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for process in psutil.process_iter(["name"]):
            if process.pid not in others and process.info["name"] == "raylet":
                process.kill()
                return True
        time.sleep(0.05)
    return False


def test_serve_run_works_as_well(tmp_path: Path) -> None:
    """Ray's own command with the shipped file, its port changed."""
    port = free_port()
    config = tmp_path / "local.yaml"
    config.write_text((ROOT / "configs" / "local.yaml").read_text().replace("port: 8000", f"port: {port}"))
    environment = {**os.environ, **node_environment(), **model_environment()}
    environment["FACEGRAPH_DATA_DIR"] = str(tmp_path / "data")
    environment.pop("RAY_ADDRESS", None)
    tools = Path(sys.executable).parent
    create = [tools / "facegraph", "keys", "create", "test", "--role", "admin", "--json"]
    (tmp_path / "data").mkdir()
    made = subprocess.run(create, env=environment, capture_output=True, text=True, timeout=240, check=True, cwd=ROOT)
    secret = json.loads(made.stdout)["secret"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [tools / "serve", "run", str(config)],
            env=environment,
            cwd=ROOT,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    family: list[psutil.Process] = []
    try:
        deadline = time.monotonic() + 300
        while True:
            assert process.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < deadline, (tmp_path / "log").read_text()
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False, timeout=30).status_code == 200:
                    break
            time.sleep(0.5)
        family = psutil.Process(process.pid).children(recursive=True)
        files = {"image": ("a.jpg", photos.group([photos.astronaut(), photos.grace_hopper()]))}
        headers = {"X-API-Key": secret}
        url = f"http://127.0.0.1:{port}/v1/detect"
        answer = httpx.post(url, files=files, headers=headers, trust_env=False, timeout=120)
        assert len(answer.json()["faces"]) == 2
    finally:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(40)
        for left in [*family, process]:
            with contextlib.suppress(psutil.Error, ProcessLookupError):
                left.kill()
        process.wait(60)


def test_a_flood_is_answered_in_words(tmp_path: Path) -> None:
    """More requests than the replica takes: some are served, the others told when to come back, none fails."""
    service = RunningService(tmp_path / "data", FACEGRAPH_INGRESS__MAX_IN_FLIGHT="3").start()
    try:
        with service.client() as api, ThreadPoolExecutor(16) as pool:
            photo = photos.astronaut()
            answers = list(pool.map(lambda _: api.post("/v1/detect", files={"image": ("a.jpg", photo)}), range(64)))
            statuses = {answer.status_code for answer in answers}
            assert statuses == {200, 429}
            for answer in answers:
                if answer.status_code == 429:
                    assert answer.headers["Retry-After"] == "1"
                    assert answer.json()["error"]["code"] == "overloaded"
            with Client(service.url, service.key or "") as client:
                assert client.wait_until_ready(180)
            assert api.post("/v1/detect", files={"image": ("a.jpg", photo)}).status_code == 200
    finally:
        service.stop()


def test_the_python_handle_does_the_same_work(service: RunningService) -> None:
    script = ROOT / "examples" / "handle_client.py"
    environment = {**os.environ, "RAY_ADDRESS": service.ray_address()}
    done = subprocess.run(
        [sys.executable, str(script)], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Found 'somebody' with score" in done.stdout


def test_a_job_enrols_a_folder_and_ray_data_searches_one(service: RunningService, tmp_path: Path) -> None:
    for person, picture in (("eileen", photos.astronaut()), ("grace", photos.grace_hopper())):
        (tmp_path / "people" / person).mkdir(parents=True)
        (tmp_path / "people" / person / "1.png").write_bytes(picture)
        (tmp_path / f"{person}.png").write_bytes(picture)
    (tmp_path / "people" / "nobody").mkdir()
    (tmp_path / "people" / "nobody" / "1.jpg").write_bytes(b"no picture")
    environment = {**os.environ, "RAY_ADDRESS": service.ray_address()}

    def example(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(ROOT / "examples" / name), *arguments]
        return subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
        )

    enrol = ("enrol_job.py", "people", "from-a-job", "--failures", "failures.jsonl")
    done = example(*enrol)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "2 enrolled, 1 failed of 3 persons." in done.stdout
    (failure,) = map(json.loads, (tmp_path / "failures.jsonl").read_text().splitlines())
    assert (failure["person"], failure["errors"][0]["code"]) == ("nobody", "image_format_unsupported")
    again = example(*enrol)
    assert "2 skipped" in again.stdout, again.stdout + again.stderr

    searched = example("search_folder.py", str(tmp_path), "from-a-job", str(tmp_path / "found"))
    assert searched.returncode == 0, searched.stdout + searched.stderr
    found = [json.loads(line) for file in (tmp_path / "found").glob("*.json") for line in file.read_text().splitlines()]
    assert {Path(line["path"]).name: line["persons"] for line in found if "people" not in line["path"]} == {
        "eileen.png": ["eileen"],
        "grace.png": ["grace"],
    }
