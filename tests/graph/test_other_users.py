"""Another user of the machine gets nothing from a running service: no port, socket or file answers them."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest
from milvus_lite.server_manager import server_manager_instance
from pymilvus import MilvusClient

from serve_app.runtime_folder import runtime_folder
from tests import photos
from tests.graph.other_user import USER
from tests.graph.service import ROOT, RunningService

pytestmark = [pytest.mark.graph, pytest.mark.slow]

METRIC = re.compile(r"#.*|\w+(\{.*\})? \S+|")
NAMES = ("a-quiet-collection", "an-external-id", "Somebody Secret")


def tried(given: dict[str, Any]) -> dict[str, Any]:
    """What the other user gets of these ports, paths and sockets."""
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
    assert answer["user"] == USER
    return answer


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
    return tried(given)


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
        process = f"{port}: {' '.join(listening[int(port)].cmdline())}"
        assert answers["milvus"] is None, process
        assert [word for word in (*NAMES, service.key) if word in answers["text"]] == [], process
        if int(port) == service.port:
            assert answers["http"]["/v1/collections"] == 401
        elif set(answers["http"].values()) == {200}:  # for Prometheus: of the service, and of Ray's autoscaler
            assert [line for line in answers["text"].splitlines() if not METRIC.fullmatch(line)] == [], process
        elif answers["http"]:
            asking = {status for path, status in answers["http"].items() if path != "/api/healthz"}
            assert asking == {401}, process
        else:
            assert answers["grpc"].keys() == {"UNAVAILABLE"}, process
            assert answers["tls"], process


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_what_is_open_would_be_noticed(tmp_path: Path) -> None:
    """milvus-lite as pymilvus starts it, and a folder and a socket that are open to all."""
    folder = Path(tempfile.mkdtemp(prefix="fg-", dir="/tmp"))
    folder.chmod(0o777)
    (folder / "log").touch()
    before = {each.laddr for each in psutil.Process().net_connections("tcp")}
    with closing(MilvusClient(str(tmp_path / "index.db"))) as client, socket.socket(socket.AF_UNIX) as server:
        client.create_collection("rows", dimension=4)
        found = psutil.Process().net_connections("tcp")
        (port,) = {each.laddr.port for each in found if each.status == psutil.CONN_LISTEN and each.laddr not in before}
        server.bind(str(folder / "socket"))
        (folder / "socket").chmod(0o777)
        server.listen()
        got = tried({"ports": [port], "paths": [str(folder / "log")], "sockets": [str(folder / "socket")]})
    server_manager_instance.release_all()
    assert got["ports"][str(port)]["milvus"] == ["rows"]
    assert got["sockets"] == [str(folder / "socket")]
    assert got["readable"] == got["replaced"] == [str(folder / "log")]
    shutil.rmtree(folder)
