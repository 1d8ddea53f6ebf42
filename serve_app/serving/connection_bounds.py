"""Bounds of the HTTP connections of one process: what a client may send, how slowly, and how many may be open."""

from __future__ import annotations

import resource
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ConnectionBounds:
    """Bounds of each connection and of all together.

    Attributes:
        connections: most open connections.
        head_bytes, headers: of one request; the bytes are those of its first line and headers.
        head_s: seconds for a head, from the connection or, on a connection that was used before, from its first byte.
        stalled_s: seconds in which a body or the reading of an answer may stand still, and for which
            ``bytes_per_second`` is measured.
        bytes_per_second: least rate of both.
        pipelined: requests of one connection that wait for the answer to an earlier one.
        dropping_s, dropped_bytes: after a refusal this is read and dropped, so that a client that writes everything
            before it reads sees the refusal.
        look_s: seconds between two looks at all connections.
    """

    connections: int = 2048
    head_bytes: int = 64 * 2**10
    headers: int = 100
    head_s: float = 10.0
    stalled_s: float = 10.0
    bytes_per_second: int = 1024
    pipelined: int = 16
    dropping_s: float = 5.0
    dropped_bytes: int = 16 * 2**20
    look_s: float = 1.0


class Pace:
    """Tells whether bytes move fast enough: some within ``stalled_s``, and the least rate in each ``stalled_s``."""

    def __init__(self, bounds: ConnectionBounds, now: float, moved: int) -> None:
        self._bounds = bounds
        self._began = self._last = now
        self._at_begin = self._seen = moved

    def too_slow(self, now: float, moved: int) -> bool:
        """Whether it is too slow; ``moved`` counts the bytes so far."""
        bounds = self._bounds
        if moved != self._seen:
            self._seen, self._last = moved, now
        if now - self._began < bounds.stalled_s:
            return now - self._last >= bounds.stalled_s
        slow = moved - self._at_begin < bounds.bytes_per_second * (now - self._began)
        self._began, self._at_begin = now, moved
        return slow


def room_for_connections(most: int, connected: int) -> int:
    """How many connections may be open: at most half of the file descriptors that are left to them and to files.

    Raises the process's soft limit of descriptors first, as far as it is needed and the hard limit allows.
    ``connected`` is the number of connections that are open already.
    """
    used = open_descriptors() - connected
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = used + 2 * most
    if soft < wanted:
        soft = max(soft, min(wanted, hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(1, min(most, (soft - used) // 2))


def open_descriptors() -> int:
    """The number of this process's open file descriptors."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())
