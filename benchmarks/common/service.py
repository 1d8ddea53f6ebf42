"""Child processes of benchmarks: servers under test, ``facegraph serve`` among them, and modules that print figures."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks.common.machine import ROOT
from scripts.servers.ports import free_port

SHARED_MODELS = ROOT.parent / "shared" / "models"
READY = "facegraph is ready"
SESSION = re.compile(r"--session[-_]dir=(.+)")


class ServerProcess(ABC):
    """A server in its own session of processes, with its output in a file.

    Args:
        command: its command line.
        environment: variables beyond those of this process, and in place of them.
        log_path: the file with its output.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log_path: Path) -> None:
        self.log_path = log_path
        self._command = list(command)
        self._environment = {
            **({"FACEGRAPH_MODEL_DIR": str(SHARED_MODELS)} if SHARED_MODELS.is_dir() else {}),
            **os.environ,
            **environment,
        }
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def ready(self) -> bool:
        """Whether it serves."""

    def start(self, timeout_s: float = 300) -> None:
        """Start it; returns when it is ready.

        Raises:
            RuntimeError: it ended or did not become ready; the message has its output.
        """
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("wb") as log:
            self._process = subprocess.Popen(
                self._command, cwd=ROOT, env=self._environment, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + timeout_s
        while not self.ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"{' '.join(self._command)} did not become ready:\n{self.output()[-10_000:]}")
            time.sleep(0.1)

    def stop(self, timeout_s: float = 40, *, signal_all: bool = False) -> None:
        """End it and all that it started, after ``timeout_s`` by SIGKILL. A second call does nothing.

        Args:
            signal_all: send SIGTERM to every process; else to the first one only, which ends the others.
        """
        if self._process is None:
            return
        family = self.processes
        signalled = family if signal_all else family[:1]
        for process in signalled:
            with contextlib.suppress(psutil.Error):
                process.terminate()
        _, left = psutil.wait_procs(signalled, timeout_s)
        for process in family if left else []:
            with contextlib.suppress(psutil.Error):
                process.kill()
        self._process.wait()
        self._process = None

    @property
    def processes(self) -> list[psutil.Process]:
        """The server's first process and all descendants; empty if it does not run."""
        if self._process is None or self._process.poll() is not None:
            return []
        first = psutil.Process(self._process.pid)
        return [first, *first.children(recursive=True)]

    def output(self) -> str:
        """Standard output and standard error so far."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""


class ServiceProcess(ServerProcess):
    """``facegraph serve`` on a free port of the loopback address, with a new admin key.

    Args:
        data_dir: its data folder; a second run on the same folder finds what the first one stored.
        environment: variables beyond the caller's own ``FACEGRAPH_*`` ones, which hold here too.
    """

    def __init__(self, data_dir: Path, **environment: str) -> None:
        self.key = secrets.token_urlsafe(32)
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        own = {
            "FACEGRAPH_DATA_DIR": str(data_dir),
            "FACEGRAPH_HOST": "127.0.0.1",
            "FACEGRAPH_PORT": str(port),
            "FACEGRAPH_API_KEY": self.key,
            "PYTHONUNBUFFERED": "1",
        }
        command = [str(Path(sys.executable).with_name("facegraph")), "serve"]
        super().__init__(command, {**own, **environment}, data_dir.parent / f"{data_dir.name}.log")

    def ready(self) -> bool:
        """See :class:`ServerProcess`."""
        return READY in self.output()

    def metrics(self) -> str:
        """The text of Ray's Prometheus endpoint; empty if it cannot be found.

        Ray writes the endpoint's port into the folder of its session, which its processes have in their arguments.
        """
        for process in self.processes:
            with contextlib.suppress(psutil.Error):
                for argument in process.cmdline():
                    found = SESSION.fullmatch(argument)
                    for file in Path(found[1]).glob("metrics_export_port_*") if found else ():
                        return httpx.get(f"http://127.0.0.1:{file.read_text()}/metrics", trust_env=False).text
        return ""


@contextlib.contextmanager
def running_service(data_dir: Path, **environment: str) -> Iterator[ServiceProcess]:
    """A started service, stopped at the end in any case."""
    process = ServiceProcess(data_dir, **environment)
    try:
        process.start()
        yield process
    finally:
        process.stop()


def figures_of(module: str, *arguments: str, timeout_s: float | None = None) -> dict[str, Any]:
    """The figures that a module prints as JSON in its last line, run in a new process.

    Raises:
        RuntimeError: the process failed; the message has its output.
    """
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout_s, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join([module, *arguments])} failed:\n{done.stderr[-3000:]}")
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures
