"""A service of the benchmark's own: ``facegraph serve`` as a process, started and stopped as a user does it."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil

from benchmarks.report import ROOT
from scripts.servers.ports import free_port

SHARED_MODELS = ROOT.parent / "shared" / "models"
READY = "facegraph is ready"
SESSION = "--session-name"


class ServiceProcess:
    """One run of the service on a free port of the loopback address, with an admin key of its own.

    Args:
        data_dir: its data folder; a second run on the same folder finds what the first one stored.
        environment: variables beyond the caller's own ``FACEGRAPH_*`` ones, which hold here too.
    """

    def __init__(self, data_dir: Path, **environment: str) -> None:
        self.data_dir = data_dir
        self.key = secrets.token_urlsafe(32)
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.log_path = data_dir.parent / f"{data_dir.name}.log"
        self._environment = {
            **({"FACEGRAPH_MODEL_DIR": str(SHARED_MODELS)} if SHARED_MODELS.is_dir() else {}),
            **os.environ,
            "FACEGRAPH_DATA_DIR": str(data_dir),
            "FACEGRAPH_HOST": "127.0.0.1",
            "FACEGRAPH_PORT": str(port),
            "FACEGRAPH_API_KEY": self.key,
            "PYTHONUNBUFFERED": "1",
            **environment,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, timeout_s: float = 300) -> None:
        """Return when it is ready.

        Raises:
            RuntimeError: it ended or did not become ready; the message has its output.
        """
        self.data_dir.parent.mkdir(parents=True, exist_ok=True)
        command = [str(Path(sys.executable).with_name("facegraph")), "serve"]
        with self.log_path.open("wb") as log:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=self._environment, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + timeout_s
        while READY not in self._output():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"facegraph serve did not become ready:\n{self._output()}")
            time.sleep(0.1)

    def stop(self, timeout_s: float = 40) -> None:
        """End it and all that it started. A second call does nothing."""
        if self._process is None:
            return
        process, self._process = self._process, None
        family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            for member in [*family, psutil.Process(process.pid)]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    member.kill()
            process.wait()

    @property
    def processes(self) -> list[psutil.Process]:
        """All of it that runs."""
        if self._process is None:
            return []
        own = psutil.Process(self._process.pid)
        return [own, *own.children(recursive=True)]

    def metrics(self) -> str:
        """What Ray's Prometheus endpoint says; empty if it cannot be found.

        Ray writes the endpoint's port into the folder of its session, whose name its processes carry.
        """
        for process in self.processes:
            with contextlib.suppress(psutil.Error):
                for argument in process.cmdline():
                    name, _, session = argument.partition("=")
                    for file in Path("/tmp/ray").glob(f"{session}/metrics_export_port_*" if name == SESSION else "-"):
                        return httpx.get(f"http://127.0.0.1:{file.read_text()}/metrics", trust_env=False).text
        return ""

    def _output(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""


@contextlib.contextmanager
def running_service(data_dir: Path, **environment: str) -> Iterator[ServiceProcess]:
    """A started service that is stopped at the end, whatever happens."""
    process = ServiceProcess(data_dir, **environment)
    try:
        process.start()
        yield process
    finally:
        process.stop()
