"""Number of processors available to this process."""

from __future__ import annotations

import contextlib
import math
import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def cpu_count(cgroup: Path = CGROUP) -> int:
    """Number of processors available to this process: at least 1, at most the container's CPU limit rounded up.

    ``cgroup`` is the folder of the container's limits, in the layout of cgroups version 1 or 2.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for names in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        with contextlib.suppress(OSError, ValueError):  # ValueError: "max", which is no limit
            quota, period = map(int, " ".join((cgroup / name).read_text() for name in names).split())
            if quota > 0 and period > 0:
                return max(1, min(allowed, math.ceil(quota / period)))
    return allowed
