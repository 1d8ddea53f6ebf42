"""A real Milvus 2.3 server for the tests, from the PyPI package ``milvus``.

Its embedded etcd takes the ports 2379 and 2380 whatever it is told, so there is one on a machine at a time: test runs
that want one wait for each other.
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
    """Why no server can be started here, None if one can."""
    if importlib.util.find_spec("milvus") is None:
        return "the package milvus is not installed (it exists for Linux on x86-64)"
    return None


class MilvusServer:
    """Started on construction, in 8 to 15 seconds; ``stop`` leaves no process and no file behind."""

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
        """Of the gRPC port."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def port(self) -> int:
        """Of gRPC."""
        return int(self._server.listen_port)

    def _start(self) -> None:
        with warnings.catch_warnings():
            # It leaves sockets of ports that it tried to the collector.
            warnings.simplefilter("ignore", ResourceWarning)
            self._server.start()

    def kill(self) -> None:
        """SIGKILL, until :meth:`restart`."""
        self._server.server_proc.kill()
        self._server.server_proc.wait()

    def restart(self) -> None:
        """After :meth:`kill`: on the same data and the same port."""
        self._server.stop()  # closes its log files
        # It would look for a free port again, and take the old one for taken while connections to it linger.
        self._server.config.resolve = lambda: None
        self._start()

    def stop(self) -> None:
        """Terminate and remove everything."""
        server = getattr(self, "_server", None)
        if server is not None:
            server.stop()
        shutil.rmtree(self._folder, ignore_errors=True)
        self._turn.release()

    def pause(self) -> None:
        """Nothing is answered: an outage, until :meth:`resume`."""
        os.kill(self._server.server_proc.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """End of the outage."""
        os.kill(self._server.server_proc.pid, signal.SIGCONT)


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise RuntimeError(
                f"port {port} is taken, which the Milvus server's etcd needs; stop the other etcd"
            ) from None
