"""Ports for servers that are started by tests and benchmarks."""

from __future__ import annotations

import random
import socket

PORTS = range(20_000, 32_768)
"""Above those that Ray takes for its workers, below those from which Linux takes the near ends of connections: a port
from there could be taken by any connection before the server that it is meant for has come up."""


def free_port() -> int:
    """A TCP port on loopback that nothing listens on right now, and that the system gives to nobody unasked."""
    while True:
        port = random.SystemRandom().choice(PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
