"""Free ports for servers that tests and benchmarks start."""

from __future__ import annotations

import random
import socket

PORTS = range(20_000, 32_768)
"""Above the ports of Ray's workers, below those that Linux gives to outgoing connections: such a port could be taken by
any connection before the server has started."""


def free_port() -> int:
    """A TCP port on loopback on which no process listens and which no outgoing connection gets."""
    while True:
        port = random.SystemRandom().choice(PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
