"""The service as a process: how it ends, what it says when it cannot start or cannot go on."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from serve_app.gallery import open_gallery
from serve_app.settings import Settings
from tests.graph.service import RunningService

pytestmark = [pytest.mark.graph, pytest.mark.slow, pytest.mark.timeout(900)]


def await_end(service: RunningService) -> None:
    deadline = time.monotonic() + 120
    while left := service.survivors():
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


def named(service: RunningService, name: str) -> psutil.Process:
    (found,) = (process for process in service.family if process.is_running() and process.name() == name)
    return found


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGQUIT])
def test_a_supervisor_that_ends_leaves_no_process(tmp_path: Path, number: signal.Signals) -> None:
    service = RunningService(tmp_path / "data").start()
    service.stop(number)
    await_end(service)
    again = RunningService(tmp_path / "data").start()  # neither the port nor the stores are held any more
    again.stop()


def test_a_hangup_that_was_ignored_at_the_start_stays_ignored(tmp_path: Path) -> None:
    service = RunningService(tmp_path / "data", ignored="HUP").start()
    try:
        assert service._process is not None
        service._process.send_signal(signal.SIGHUP)
        time.sleep(2)
        with service.client() as api:
            assert api.get("/readyz").status_code == 200
    finally:
        service.stop()
    assert service.survivors() == []


@pytest.mark.parametrize("server", ["gcs_server", "raylet"])
def test_a_service_that_loses_a_server_of_ray_ends_and_says_so(tmp_path: Path, server: str) -> None:
    service = RunningService(tmp_path / "data").start()
    named(service, server).kill()
    assert service._process is not None
    try:
        assert service._process.wait(120) != 0
        said = " ".join(service.log().split())
        assert f"Ray's server {server}" in said or "The service was ended by" in said
    finally:
        service.stop(signal.SIGKILL)
    await_end(service)


def test_a_child_that_is_killed_is_named(tmp_path: Path) -> None:
    service = RunningService(tmp_path / "data").start()
    assert service._process is not None
    (child,) = psutil.Process(service._process.pid).children()
    child.kill()
    try:
        assert service._process.wait(120) == 1
        assert "The service was ended by signal SIGKILL." in " ".join(service.log().split())
    finally:
        service.stop(signal.SIGKILL)
    await_end(service)


def test_a_stage_that_cannot_start_says_why_after_one_try(tmp_path: Path) -> None:
    """Another process has the index open, one that is no service."""
    with closing(open_gallery(Settings(data_dir=tmp_path / "data"), {})):
        service = RunningService(tmp_path / "data", FACEGRAPH_VERBOSE="")
        with pytest.raises(AssertionError), closing(service):
            service.start()
    said = " ".join(service.log().split())
    assert "The stages did not start: Ingress: The vector index" in said
    assert "another process has it open" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("FACEGRAPH_INGRESS__SERVE__AUTOSCALING__MIN_REPLICAS", "3", "replicas"),
        ("FACEGRAPH_INGRESS__SERVE__HEALTH_CHECK_TIMEOUT_S", "-1", "health_check_timeout_s"),
        ("FACEGRAPH_DIALECTS", '["nobody"]', "nobody"),
    ],
)
def test_a_value_that_is_refused_is_said_before_ray_starts(
    tmp_path: Path, variable: str, value: str, words: str
) -> None:
    before = set(psutil.pids())
    service = RunningService(tmp_path / "data", **{variable: value})
    with pytest.raises(AssertionError), closing(service):
        service.start()
    assert "Error: " in service.log()
    assert words in service.log()
    assert "Traceback" not in service.log()
    names = [process.info["name"] for process in psutil.process_iter(["name"]) if process.pid not in before]
    assert "gcs_server" not in names


def test_a_start_that_takes_too_long_names_the_step(tmp_path: Path) -> None:
    code = "from serve_app.cli import app, serve; serve.READY_WITHIN_S = 0.1; app(['serve'])"
    environment = RunningService(tmp_path / "data", FACEGRAPH_VERBOSE="")._environment
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 2
    assert "The service was not ready within 0.1 s. It waited for " in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("moment", ["gcs_server", "raylet", "ServeContr"])
def test_ctrl_c_during_the_start_leaves_no_process(tmp_path: Path, moment: str) -> None:
    service = RunningService(tmp_path / "data")
    starting = subprocess.Popen(
        service.command, env=service._environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    deadline = time.monotonic() + 240
    family: list[psutil.Process] = []
    while not any(moment in process.info["name"] for process in family):
        assert time.monotonic() < deadline, "it did not come that far"
        assert starting.poll() is None
        family = [*psutil.process_iter(["name"])]
        ours = {process.pid for process in psutil.Process(starting.pid).children(recursive=True)}
        family = [process for process in family if process.pid in ours]
    starting.send_signal(signal.SIGINT)
    output, _ = starting.communicate(timeout=120)
    assert starting.returncode == 0, output
    service.family = family
    await_end(service)
