"""Limits of control groups: of the process's own group and of each parent, in both versions."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from serve_app.control_groups import ControlGroups
from serve_app.processors import cpu_count
from tests.control_group import control_group

VERSION_1 = "4:memory:/shop/web\n3:cpu,cpuacct:/shop/web\n1:name=systemd:/user.slice\n0::/\n"
VERSION_2 = "0::/shop.slice/web.service\n"
NO_LIMIT = 9223372036854771712


def groups(folder: Path, own: str, files: Mapping[str, str]) -> ControlGroups:
    (folder / "own").write_text(own)
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{text}\n")
    return ControlGroups(folder, folder / "own")


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/\n", {}, None),
        ("0::/\n", {"cpu.max": "max 100000"}, None),
        ("0::/\n", {"cpu.max": "25000 100000"}, 0.25),
        ("0::/\n", {"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, 1),
        ("0::/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        (VERSION_2, {"shop.slice/web.service/cpu.max": "50000 100000"}, 0.5),
        (VERSION_2, {"shop.slice/web.service/cpu.max": "max 100000", "shop.slice/cpu.max": "150000 100000"}, 1.5),
        (VERSION_2, {"shop.slice/web.service/cpu.max": "200000 100000", "shop.slice/cpu.max": "100000 100000"}, 1),
        (VERSION_2, {"another.slice/cpu.max": "50000 100000"}, None),
        (VERSION_1, {"cpu/shop/web/cpu.cfs_quota_us": "50000", "cpu/shop/web/cpu.cfs_period_us": "100000"}, 0.5),
        (VERSION_1, {"cpu/shop/cpu.cfs_quota_us": "50000", "cpu/shop/cpu.cfs_period_us": "50000"}, 1),
        # A container whose own group is shown as the host sees it.
        (VERSION_1, {"cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "100000"}, 0.5),
        ("0::/../../web\n", {"cpu.max": "50000 100000"}, 0.5),
    ],
)
def test_the_strictest_processor_quota_counts(
    tmp_path: Path, own: str, files: dict[str, str], expected: float | None
) -> None:
    assert groups(tmp_path, own, files).processors() == expected


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/\n", {}, None),
        ("0::/\n", {"memory.max": "max"}, None),
        (VERSION_2, {"shop.slice/web.service/memory.max": "max", "shop.slice/memory.max": "500"}, 500),
        (VERSION_2, {"shop.slice/web.service/memory.max": "400", "shop.slice/memory.max": "500"}, 400),
        (VERSION_1, {"memory/shop/web/memory.limit_in_bytes": str(NO_LIMIT)}, None),
        (
            VERSION_1,
            {"memory/shop/memory.limit_in_bytes": "500", "memory/memory.limit_in_bytes": str(NO_LIMIT)},
            500,
        ),
    ],
)
def test_the_strictest_memory_limit_counts(
    tmp_path: Path, own: str, files: dict[str, str], expected: int | None
) -> None:
    assert groups(tmp_path, own, files).memory() == expected


def test_kills_for_want_of_memory_are_counted(tmp_path: Path) -> None:
    assert groups(tmp_path, VERSION_2, {}).memory_kills() == 0
    assert (
        groups(tmp_path, VERSION_2, {"shop.slice/web.service/memory.events": "oom 3\noom_kill 2"}).memory_kills() == 2
    )
    old = groups(tmp_path, VERSION_1, {"memory/shop/web/memory.oom_control": "under_oom 0\noom_kill 5"})
    assert old.memory_kills() == 5


@pytest.mark.parametrize(("quota", "expected"), [("50000", 1), ("100000", 1), ("150000", 2), ("99900000", None)])
def test_a_share_of_processors_is_rounded_up(tmp_path: Path, quota: str, expected: int | None) -> None:
    allowed = len(os.sched_getaffinity(0))
    limited = groups(tmp_path, VERSION_2, {"shop.slice/cpu.max": f"{quota} 100000"})
    assert cpu_count(limited) == min(allowed, expected or allowed)


def test_a_quota_of_a_real_group_is_seen() -> None:
    with control_group("cpu", "cpu.cfs_quota_us", "50000") as join:
        code = f"{join}; from serve_app.processors import cpu_count; print(cpu_count())"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "1"
