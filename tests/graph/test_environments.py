"""The service starts and works in environments as people have them, and speaks to nobody but this machine."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from serve_app.process_environment import LOOPBACK_ENVIRONMENT, OTHER_RAY, QUIET
from serve_app.settings import Settings
from serve_app.vision.catalogue import Catalogue
from serve_app.vision.model_files import ModelFiles
from tests import photos
from tests.graph.service import RunningService

pytestmark = [pytest.mark.graph, pytest.mark.slow, pytest.mark.timeout(900)]

CLOSED = "http://127.0.0.1:9"
CALL = re.compile(r"\b(?:connect|sendto|sendmsg|sendmmsg)\(.*")
ADDRESS = re.compile(r'sin6?_port=htons\((\d+)\)[^}]*?(?:inet_addr\("|inet_pton\(AF_INET6, ")([^"]+)"')


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder whose path is short enough for the names of Ray's sockets."""
    folder = Path(tempfile.mkdtemp(prefix="fg-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def loopback() -> str:
    """``::1`` where the machine has IPv6, else 127.0.0.1."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return "::1"
    return "127.0.0.1"


def enrol_and_search(service: RunningService) -> None:
    """One person is enrolled and found."""
    with service.client() as api:
        api.post("/v1/collections", json={"name": "staff"}).raise_for_status()
        files = {"image": ("a.jpg", photos.astronaut())}
        api.put("/v1/collections/staff/persons/collins", files=files).raise_for_status()
        answer = api.post("/v1/search", files=files, data={"collections": "staff"})
        assert answer.json()["faces"][0]["matches"][0]["person"]["id"] == "collins"


def outgoing(trace: Path) -> set[str]:
    """Addresses outside of this machine, and servers of names anywhere, in what strace has written."""
    found = set()
    for line in trace.read_text(errors="replace").splitlines():
        if call := CALL.search(line):
            for port, host in ADDRESS.findall(call[0]):
                if port == "53" or not ipaddress.ip_address(host.removeprefix("::ffff:")).is_loopback:
                    found.add(call[0][:200])
    return found


def test_nothing_leaves_the_machine(tmp_path: Path, short: Path) -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed (Debian: strace)")
    trace = tmp_path / "trace"
    home = tmp_path / "home"
    # Models are fetched before the first start; those that could not be fetched would be tried again.
    files, catalogue = ModelFiles(photos.model_dir()), Catalogue.load()
    fetched = [name for name in Settings().liveness.models if files.status(catalogue.get(name)).path is not None]
    service = RunningService(
        tmp_path / "data",
        HOME=str(home),
        RAY_TMPDIR=str(short),
        FACEGRAPH_MODEL_CACHE_DIR=str(files.cache_dir),
        FACEGRAPH_LIVENESS__MODELS=json.dumps(fetched),
    )
    traced = ["strace", "-D", "-f", "--seccomp-bpf", "-qq", "-e", "trace=connect,sendto,sendmsg,sendmmsg"]
    service.command = [*traced, "-o", str(trace), *service.command]
    try:
        service.start()
        enrol_and_search(service)
    finally:
        service.stop()
    assert "connect(" in trace.read_text(errors="replace")
    assert outgoing(trace) == set()
    assert [path for path in home.rglob("*") if "onnxruntime" in path.name] == []


def test_a_trace_of_a_question_would_be_noticed(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    wrong = [
        '7 connect(4, {sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("127.0.0.53")}, 16) = 0',
        '7 connect(4, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("169.254.169.254")} <unfinished ...>',
        "7 connect(4, {sa_family=AF_INET6, sin6_port=htons(443), sin6_flowinfo=htonl(0), "
        'inet_pton(AF_INET6, "2001:db8::1", &sin6_addr), sin6_scope_id=0}, 28) = -1 ENETUNREACH',
        '7 sendto(4, "x", 1, 0, {sa_family=AF_INET, sin_port=htons(9), sin_addr=inet_addr("10.0.0.1")}, 16) = 1',
        '7 sendmsg(4, {msg_name={sa_family=AF_INET, sin_port=htons(9), sin_addr=inet_addr("10.0.0.2")}, ...}, 0) = 1',
    ]
    right = [
        '7 connect(4, {sa_family=AF_UNIX, sun_path="/tmp/socket"}, 110) = 0',
        '7 connect(4, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}, 16) = 0',
        "7 connect(4, {sa_family=AF_INET6, sin6_port=htons(80), sin6_flowinfo=htonl(0), "
        'inet_pton(AF_INET6, "::ffff:127.0.0.1", &sin6_addr), sin6_scope_id=0}, 28) = 0',
    ]
    trace.write_text("\n".join(wrong + right))
    assert len(outgoing(trace)) == len(wrong)


def test_it_works_with_everything_that_others_left_in_the_environment(tmp_path: Path) -> None:
    """A blank and letters outside ASCII in the path, IPv6, proxies, a long TMPDIR, variables of Python and of Ray."""
    clone = tmp_path / "my faces ü"
    clone.mkdir()
    (clone / ".venv").symlink_to(Path(sys.prefix))
    long = tmp_path / ("long" * 30)
    long.mkdir()
    service = RunningService(
        tmp_path / "data",
        FACEGRAPH_HOST=loopback(),
        TMPDIR=str(long),
        PYTHONOPTIMIZE="2",
        PYTHONWARNINGS="error",
        **dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "ALL_PROXY", "grpc_proxy"), CLOSED),
        **dict.fromkeys(OTHER_RAY, "127.0.0.1:1"),
    )
    service.command[-2:-2] = [str(clone / ".venv/bin/python")]
    try:
        service.start()
        commands = [" ".join(process.cmdline()) for process in service.family if process.is_running()]
        assert any(command.startswith(str(clone)) for command in commands), commands
        enrol_and_search(service)
    finally:
        service.stop()
    assert service.survivors() == []


def test_another_ray_on_the_machine_is_left_alone(tmp_path: Path, short: Path) -> None:
    """Whatever its file says that names the address of the latest Ray."""
    environment = {**os.environ, **QUIET, "RAY_TMPDIR": str(short)}
    environment |= {name: value for name, value in LOOPBACK_ENVIRONMENT.items() if "CLUSTER" in name}
    ray = Path(sys.executable).parent / "ray"
    options = ["--node-ip-address=127.0.0.1", "--include-dashboard=false", "--num-cpus=0", "--block"]
    with (tmp_path / "other.log").open("wb") as log:
        other = subprocess.Popen(
            [str(ray), "start", "--head", "--port=0", f"--object-store-memory={100 * 2**20}", *options],
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    named = short / "ray/ray_current_cluster"
    try:
        deadline = time.monotonic() + 240
        while not named.exists():
            assert other.poll() is None, (tmp_path / "other.log").read_text()
            assert time.monotonic() < deadline, (tmp_path / "other.log").read_text()
            time.sleep(0.2)
        address = named.read_text()
        service = RunningService(tmp_path / "data", RAY_TMPDIR=str(short))
        try:
            service.start()
            assert service.ray_address() != address
            enrol_and_search(service)
        finally:
            service.stop()
        assert service.survivors() == []
        assert named.read_text() == address
        assert other.poll() is None
    finally:
        other.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            other.wait(60)
        other.kill()
        other.wait()
