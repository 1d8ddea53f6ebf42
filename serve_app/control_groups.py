"""Limits of the control groups that this process is in, versions 1 and 2: its own group and all of its parents."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

UNLIMITED = 2**60
"""Version 1 shows a memory limit of about 2^63 bytes where there is none."""


@dataclass(frozen=True)
class ControlGroups:
    """The groups, as the kernel shows them.

    Attributes:
        root: where the groups are mounted.
        own: lists the groups of this process.
    """

    root: Path = Path("/sys/fs/cgroup")
    own: Path = Path("/proc/self/cgroup")

    def processors(self) -> float | None:
        """Processors that the strictest group allows; None without a limit."""
        quotas = [
            *self._numbers("", "cpu.max"),
            *self._numbers("cpu", "cpu.cfs_quota_us", "cpu.cfs_period_us"),
        ]
        return min((quota / period for quota, period in quotas if quota > 0 and period > 0), default=None)

    def memory(self) -> int | None:
        """Bytes that the strictest group allows; None without a limit."""
        limits = [*self._numbers("", "memory.max"), *self._numbers("memory", "memory.limit_in_bytes")]
        return min((limit for (limit,) in limits if limit < UNLIMITED), default=None)

    def memory_kills(self) -> int:
        """How often the kernel has ended a process of these groups because the memory limit was reached."""
        counts = 0
        for controller, name in (("", "memory.events"), ("memory", "memory.oom_control")):
            for folder in self._folders(controller):
                with contextlib.suppress(OSError):
                    lines = (folder / name).read_text().splitlines()
                    counts += sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))
        return counts

    def _numbers(self, controller: str, *names: str) -> Iterator[list[int]]:
        for folder in self._folders(controller):
            with contextlib.suppress(OSError, ValueError):  # ValueError: "max", which is no limit
                yield [int(word) for name in names for word in (folder / name).read_text().split()]

    def _folders(self, controller: str) -> Iterator[Path]:
        """The folders of this process's groups, its own first. ``controller`` is empty for version 2."""
        mounted = self.root / controller
        path = PurePosixPath("/")
        with contextlib.suppress(OSError):
            for line in self.own.read_text().splitlines():
                _, controllers, group = line.split(":", 2)
                if controller in controllers.split(","):
                    path = PurePosixPath(group)
        # In a container the group can be shown as the host sees it; then only the root exists here.
        for each in (path, *path.parents):
            yield mounted.joinpath(*(part for part in each.parts if part not in ("/", "..")))


OWN_GROUPS = ControlGroups()
"""The groups of this process."""
