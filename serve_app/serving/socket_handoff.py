"""The service's port, held by one process and lent to another.

``facegraph serve`` holds the listening socket as long as it runs; the ingress replica asks for it and accepts the
connections itself. So no proxy stands between a client and the replica; a replica that takes a dead one's place has the
port at once, and clients who connect in between wait instead of being refused.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import tempfile
import threading
from pathlib import Path

from serve_app.errors import ConfigurationError

BACKLOG = 2048
"""Connections that wait to be accepted."""

_WITHIN_S = 10.0


class SocketHandoff:
    """Listens on a TCP port, and on a Unix socket for processes of this user that ask for it.

    Args:
        host: an address of this machine.
        port: 0 takes a free one.

    Raises:
        ConfigurationError: the port cannot be had.
    """

    def __init__(self, host: str, port: int) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            # Reuses an address whose last connections linger, but none that somebody listens on.
            self._socket = socket.create_server((host, port), family=family, backlog=BACKLOG)
        except OSError as error:
            raise ConfigurationError(f"Port {port} on {host} cannot be used ({error.strerror}).") from None
        self.port: int = self._socket.getsockname()[1]
        self._folder = tempfile.mkdtemp(prefix="facegraph-")  # for this user alone, and short enough for an address
        self.path = Path(self._folder) / "port"
        self._lender = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._lender.bind(str(self.path))
        self._lender.listen()
        threading.Thread(target=self._lend, name="listener", daemon=True).start()

    def close(self) -> None:
        """Lend it no more. The port is free when the borrower has closed it too. A second call does nothing."""
        with contextlib.suppress(OSError):
            self._lender.shutdown(socket.SHUT_RDWR)  # wakes the thread
        self._lender.close()
        self._socket.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _lend(self) -> None:
        while True:
            try:
                borrower, _ = self._lender.accept()
            except OSError:
                return
            with borrower, contextlib.suppress(OSError):
                socket.send_fds(borrower, [b"."], [self._socket.fileno()])


def receive_socket(path: Path) -> socket.socket:
    """The listening TCP socket that the process behind this Unix socket holds.

    Raises:
        ConfigurationError: nobody lends it there.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.settimeout(_WITHIN_S)
        try:
            caller.connect(str(path))
            _, descriptors, _, _ = socket.recv_fds(caller, 1, 1)
        except OSError as error:
            raise ConfigurationError(f"The listening socket cannot be had from {path} ({error}).") from None
    if not descriptors:
        raise ConfigurationError(f"Whoever listens at {path} sent no socket.")
    borrowed = socket.socket(fileno=descriptors[0])
    borrowed.setblocking(False)
    return borrowed
