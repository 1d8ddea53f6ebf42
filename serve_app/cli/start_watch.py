"""Watch over a start and over Ray's servers: one deadline for all steps, and an end when a server has ended."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable

import psutil

from serve_app.cli.output import warn
from serve_app.control_groups import OWN_GROUPS
from serve_app.errors import Unavailable
from serve_app.processors import cpu_count

SERVERS = ("gcs_server", "raylet")
"""Ray's servers, of which each is one process here; without one of them nothing that dies is replaced."""

OURS = re.compile(r"^serve_app\.errors\.\w+: (.+)$", re.MULTILINE)


class StartWatch:
    """Checks a start, whose steps happen on another thread.

    Args:
        within_s: seconds for the whole start.

    Attributes:
        step: what the start waits for at present.
    """

    def __init__(self, within_s: float) -> None:
        self.step = "the records"
        self._within_s = within_s
        self._deadline = time.monotonic() + within_s
        self._servers: dict[str, psutil.Process] = {}
        self._memory_kills = OWN_GROUPS.memory_kills()

    def watch_servers(self) -> None:
        """Watch the servers of Ray that this process has started."""
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):  # a short-lived one
                if process.name() in SERVERS:
                    self._servers[process.name()] = process

    def check_time(self, causes: Callable[[], list[str]]) -> None:
        """Raise Unavailable if the start has taken too long: with the step, ``causes``, and the load if it is high."""
        if time.monotonic() < self._deadline:
            return
        message = f"The service was not ready within {self._within_s:g} s. It waited for {self.step}."
        found = causes() if self._servers else []
        load = os.getloadavg()[0]
        if load > 2 * cpu_count():
            found.append(f"The machine is busy: its load is {load:.1f} on {cpu_count()} processors.")
        raise Unavailable("\n".join([message, *found]))

    def check_processes(self) -> None:
        """Raise Unavailable if one of Ray's servers has ended; warn if the system ends processes for want of memory."""
        kills = OWN_GROUPS.memory_kills()
        if kills > self._memory_kills:
            warn("The system has ended a process of this control group, because its memory was used up.")
        self._memory_kills = kills
        for name, process in self._servers.items():
            if not _lives(process):
                raise Unavailable(
                    f"Ray's server {name} (process {process.pid}) has ended, so that nothing that fails would be "
                    "replaced: the service ends, too. Start it again."
                )


def own_words(message: str) -> str:
    """The message of the service's own error in a text with tracebacks, otherwise the last line of the text."""
    ours = OURS.findall(message)
    return str(ours[-1]) if ours else message.strip().splitlines()[-1]


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
