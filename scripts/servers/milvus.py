"""Milvus 2.3 server from the PyPI package ``milvus``.

Its embedded etcd always takes the ports 2379 and 2380, so only one can run on a machine: test runs that need one wait
for each other.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import tempfile
import warnings
from pathlib import Path

from filelock import FileLock

ETCD_PORTS = (2379, 2380)
TURN_TIMEOUT_S = 300


def missing() -> str | None:
    """The reason why no server can be started on this machine, None if one can."""
    if importlib.util.find_spec("milvus") is None:
        return "the package milvus is not installed (it exists for Linux on x86-64)"
    return None


class MilvusServer:
    """A server that starts on construction, in 8 to 15 seconds; ``stop`` leaves no process and no file behind.

    Raises:
        RuntimeError: a port of its etcd is taken.
    """

    def __init__(self) -> None:
        import milvus

        self._turn = FileLock(Path(tempfile.gettempdir()) / "facegraph-milvus-test-server.lock")
        self._turn.acquire(timeout=TURN_TIMEOUT_S)
        self._folder = tempfile.mkdtemp(prefix="facegraph-milvus-")
        try:
            for port in ETCD_PORTS:
                _check_free(port)
            self._server = milvus.MilvusServer(milvus.MilvusServerConfig(data_dir=self._folder))
            self._start()
        except BaseException:
            self.stop()
            raise

    @property
    def uri(self) -> str:
        """URI of the gRPC port."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def port(self) -> int:
        """The gRPC port."""
        return int(self._server.listen_port)

    def _start(self) -> None:
        with warnings.catch_warnings():
            # The package does not close the sockets with which it tried ports.
            warnings.simplefilter("ignore", ResourceWarning)
            self._server.start()

    def kill(self) -> None:
        """Send SIGKILL; :meth:`restart` starts it again."""
        self._server.server_proc.kill()
        self._server.server_proc.wait()

    def restart(self) -> None:
        """Start it after :meth:`kill` on the same data and the same port."""
        self._server.stop()  # closes its log files
        # The package would choose a free port again, and the old one counts as taken while connections to it linger.
        self._server.config.resolve = lambda: None
        self._start()

    def stop(self) -> None:
        """Terminate the server and remove its files."""
        server = getattr(self, "_server", None)
        if server is not None:
            server.stop()
        shutil.rmtree(self._folder, ignore_errors=True)
        self._turn.release()

    def pause(self) -> None:
        """Stop answering, as in an outage, until :meth:`resume`."""
        os.kill(self._server.server_proc.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Answer again after :meth:`pause`."""
        os.kill(self._server.server_proc.pid, signal.SIGCONT)


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise RuntimeError(
                f"port {port}, which the Milvus server's etcd needs, is taken; stop the other etcd"
            ) from None
