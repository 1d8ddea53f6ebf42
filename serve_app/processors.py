"""The number of processors that this process may use."""

from __future__ import annotations

import contextlib
import math
import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def cpu_count(cgroup: Path = CGROUP) -> int:
    """Processors that this process may use: at least 1, at most as many as its container may keep busy.

    Args:
        cgroup: where the container's limits are, in the form of either version of the kernel's control groups.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for names in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        with contextlib.suppress(OSError, ValueError):  # ValueError: "max", which is no limit
            quota, period = map(int, " ".join((cgroup / name).read_text() for name in names).split())
            if quota > 0 and period > 0:
                return max(1, min(allowed, math.ceil(quota / period)))
    return allowed
