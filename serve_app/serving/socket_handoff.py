"""Hand-over of the listening socket from ``facegraph serve`` to the ingress replica.

``facegraph serve`` keeps the listening socket open as long as it runs; the ingress replica requests it and accepts the
connections itself. So there is no proxy between clients and the replica, a replacement for a dead replica has the port
immediately, and clients that connect in between wait instead of being refused.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import tempfile
import threading
from pathlib import Path

from serve_app.errors import ConfigurationError
from serve_app.listening import family_of

BACKLOG = 2048
"""Most connections that wait to be accepted."""

_WITHIN_S = 10.0  # timeout of the hand-over


class SocketHandoff:
    """Holds a listening TCP socket and hands it to processes of this user that connect to a Unix socket.

    ``host`` is an address of this machine; port 0 takes a free one. ``path`` is the Unix socket, in a new folder inside
    ``parent``, whose path must be short.

    Raises ConfigurationError if the port cannot be used.
    """

    def __init__(self, host: str, port: int, parent: Path | None = None) -> None:
        try:
            # Reuses an address with lingering connections, but not one that another process listens on.
            self._socket = socket.create_server(
                (host, port), family=family_of(host), backlog=BACKLOG, dualstack_ipv6=host == "::"
            )
        except OSError as error:
            raise ConfigurationError(f"Port {port} on {host} cannot be used ({error.strerror}).") from None
        self.port: int = self._socket.getsockname()[1]
        self._folder = tempfile.mkdtemp(
            prefix="facegraph-", dir=parent
        )  # private, and short enough for a Unix socket's address
        self.path = Path(self._folder) / "port"
        self._lender = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._lender.bind(str(self.path))
        self._lender.listen()
        threading.Thread(target=self._lend, name="listener", daemon=True).start()

    def close(self) -> None:
        """Stop handing out the socket. The port is free once the receiver has closed it too. Can be called twice."""
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
    """Get the listening TCP socket from the :class:`SocketHandoff` behind this Unix socket.

    Raises ConfigurationError if no process hands out a socket there.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.settimeout(_WITHIN_S)
        try:
            caller.connect(str(path))
            _, descriptors, _, _ = socket.recv_fds(caller, 1, 1)
        except OSError as error:
            raise ConfigurationError(f"The listening socket cannot be received from {path} ({error}).") from None
    if not descriptors:
        raise ConfigurationError(f"The process that listens at {path} sent no socket.")
    borrowed = socket.socket(fileno=descriptors[0])
    borrowed.setblocking(False)
    return borrowed
