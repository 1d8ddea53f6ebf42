"""Another user of the machine gets nothing from a running service: no port, socket or file answers them."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from serve_app.runtime_folder import runtime_folder
from tests import photos
from tests.graph.service import ROOT, RunningService

pytestmark = [pytest.mark.graph, pytest.mark.slow]

NAMES = ("a-quiet-collection", "an-external-id", "Somebody Secret")


@pytest.fixture(scope="module")
def processes(service: RunningService) -> list[psutil.Process]:
    """All processes of a service that has a person."""
    if os.getuid() != 0:
        pytest.skip("only root can become another user")
    collection, person, name = NAMES
    with service.client() as api:
        api.post("/v1/collections", json={"name": collection}).raise_for_status()
        files = {"image": ("a.jpg", photos.astronaut())}
        path = f"/v1/collections/{collection}/persons/{person}"
        api.put(path, files=files, data={"name": name}).raise_for_status()
    assert service._process is not None
    return psutil.Process(service._process.pid).children(recursive=True)


@pytest.fixture(scope="module")
def listening(processes: list[psutil.Process]) -> dict[int, psutil.Process]:
    """The TCP ports on which the service listens, and a process that does so."""
    known = {process.pid: process for process in processes}
    return {
        each.laddr.port: known[each.pid]
        for each in psutil.net_connections("tcp")
        if each.status == psutil.CONN_LISTEN and each.pid in known
    }


@pytest.fixture(scope="module")
def sockets(processes: list[psutil.Process]) -> list[str]:
    """The Unix sockets on which the service listens."""
    known = {process.pid for process in processes}
    return sorted({each.laddr for each in psutil.net_connections("unix") if each.pid in known and each.laddr})


@pytest.fixture(scope="module")
def got(service: RunningService, listening: dict[int, psutil.Process], sockets: list[str]) -> dict[str, Any]:
    """What the other user got: see :mod:`tests.graph.other_user`."""
    roots = (service.data_dir, service.ray_logs().parents[1])
    paths = [str(path) for root in roots for path in (root, *root.rglob("*")) if not path.is_symlink()]
    assert any(path.endswith("records.db") for path in paths)
    assert any(path.endswith("debug_state.txt") for path in paths)
    given = {"ports": sorted(listening), "paths": paths, "sockets": sockets}
    done = subprocess.run(
        [sys.executable, "-m", "tests.graph.other_user"],
        input=json.dumps(given),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    assert answer["user"] == 65534
    return answer


def test_no_file_can_be_read_written_or_replaced(got: dict[str, Any]) -> None:
    assert got["readable"] == []
    assert got["writable"] == []
    assert got["replaced"] == []


def test_folders_are_private_by_themselves(service: RunningService) -> None:
    """Not only by the folder that pytest has made around them."""
    private = runtime_folder()
    assert private in service.ray_logs().parents
    for folder in (service.data_dir, private):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((private / "ray_token").stat().st_mode) == 0o600


def test_no_unix_socket_can_be_connected_to(got: dict[str, Any], sockets: list[str]) -> None:
    assert any("milvus-" in path for path in sockets)
    assert [path for path in sockets if not Path(path).is_relative_to(runtime_folder())] == []  # nor abstract ones
    assert got["sockets"] == []


def test_every_port_asks_for_a_key_or_has_nothing_about_persons(
    got: dict[str, Any], service: RunningService, listening: dict[int, psutil.Process]
) -> None:
    assert service.port in listening
    assert service.metrics_port in listening
    for port, answers in got["ports"].items():
        process = " ".join(listening[int(port)].cmdline())
        print(port, process[:60], answers["http"], {code: len(them) for code, them in answers["grpc"].items()})
        assert answers["milvus"] is None, process
        assert [word for word in (*NAMES, service.key) if word in answers["text"]] == [], process
        if int(port) == service.port:
            assert answers["http"]["/v1/collections"] == 401
