"""A start with less memory than the service needs says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from serve_app.cli.serve import NEEDED_MIB, little_memory
from serve_app.control_groups import ControlGroups
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
