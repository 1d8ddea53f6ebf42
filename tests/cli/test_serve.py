"""What a start refuses and warns of before anything runs."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.servers.ports import free_port
from serve_app.cli.serve import NEEDED_MIB, _refuse_taken_port, little_memory
from serve_app.control_groups import ControlGroups
from serve_app.errors import ConfigurationError
from serve_app.settings import Topology
from tests.photos import ROOT


@pytest.mark.parametrize("topology", NEEDED_MIB)
def test_a_limit_below_the_need_is_named(tmp_path: Path, topology: Topology) -> None:
    need = NEEDED_MIB[topology]
    (tmp_path / "memory.max").write_text(f"{(need - 1) * 2**20}\n")
    groups = ControlGroups(tmp_path, tmp_path / "absent")
    assert f"about {need} MiB" in (little_memory(topology, groups) or "")
    assert f"has {need - 1} MiB here" in (little_memory(topology, groups) or "")
    (tmp_path / "memory.max").write_text("max\n")
    assert little_memory(topology, groups) is None


def test_each_topology_has_its_need_in_the_docs() -> None:
    documented = (ROOT / "docs/operations.md").read_text()
    assert all(f"{need:,} MiB (`{topology}`)" in documented for topology, need in NEEDED_MIB.items())
    assert NEEDED_MIB.keys() | {Topology.AUTO} == set(Topology)


def test_a_port_that_answers_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"Port {port} .* another program answers there: stop"):
            _refuse_taken_port("127.0.0.1", port, "FACEGRAPH_PORT")


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="does not have the address, choose another one with FACEGRAPH_HOST"):
        _refuse_taken_port("192.0.2.1", free_port(), "FACEGRAPH_PORT")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("FACEGRAPH_STORAGE__MILVUS_URI", "localhost:19530", "a URL or a path ending in .db was expected"),
        ("FACEGRAPH_STORAGE__BLOBS_URL", "s4://faces", "storage.blobs_url: Protocol not known: s4"),
    ],
)
def test_places_that_cannot_be_used_are_named_before_ray_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    monkeypatch.setenv("FACEGRAPH_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("FACEGRAPH_PORT", str(free_port()))
    monkeypatch.setenv("FACEGRAPH_API_KEY", "secret-0123456789abcdef")
    monkeypatch.setenv(name, value)
    program = "from serve_app.cli import app, ray_runtime; ray_runtime.run_graph = None; app()"
    done = subprocess.run([sys.executable, "-c", program, "serve"], capture_output=True, text=True, timeout=240)
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split())
    assert not (tmp_path / "data" / "records.db").exists()
