"""Number of processors available to this process."""

from __future__ import annotations

import math
import os

from serve_app.control_groups import OWN_GROUPS, ControlGroups


def cpu_count(groups: ControlGroups = OWN_GROUPS) -> int:
    """Number of processors available to this process: at least 1, at most its groups' CPU limit rounded up."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = groups.processors()
    return allowed if limit is None else max(1, min(allowed, math.ceil(limit)))
