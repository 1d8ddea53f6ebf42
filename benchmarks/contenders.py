"""The servers that the throughput benchmark compares, each started over a copy of the same data folder."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import httpx
import psutil

from benchmarks.launcher import SHARED_MODELS, ServiceProcess
from benchmarks.report import ROOT
from benchmarks.rivals.pipeline import DATA, SESSIONS
from scripts.servers.ports import free_port

SERVE_DEFAULTS = {
    "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "1",
    "RAY_SERVE_RUN_ROUTER_IN_SEPARATE_LOOP": "1",
    "RAY_SERVE_REQUEST_PATH_LOG_BUFFER_SIZE": "1",
    "RAY_SERVE_LOG_TO_STDERR": "1",
    "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.1",
    "FACEGRAPH_INGRESS__OWN_PORT": "false",
}
METRICS_PERIOD_S = 11  # Ray's replicas report every 10 s
PACKAGES = {"litserve": "litserve==0.2.19", "bentoml": "bentoml==1.4.39"}
RIVALS = {
    "fastapi": ("FastAPI + uvicorn", ["-m", "benchmarks.rivals.with_fastapi"]),
    "litserve": ("LitServe", ["-m", "benchmarks.rivals.with_litserve"]),
    "bentoml": (
        "BentoML",
        ["-m", "bentoml", "serve", "benchmarks.rivals.with_bentoml:Search", "--host", "127.0.0.1", "--port"],
    ),
}
ENVIRONMENTS = Path(sys.prefix) / "rivals"


class Side(ABC):
    """A server under test.

    Attributes:
        name: in tables and plots.
        url: where searches go.
        headers: that they need.
    """

    name: str
    url: str
    headers: dict[str, str]

    @abstractmethod
    def start(self) -> None:
        """Return when it serves. Raises RuntimeError with its output when it does not."""

    @abstractmethod
    def stop(self) -> None:
        """End it and all that it started."""

    @property
    @abstractmethod
    def processes(self) -> list[psutil.Process]:
        """All of it that runs."""

    def batches(self) -> tuple[float, float]:
        """Faces and calls of the embedder since the start, after a wait; zeros where nobody counts."""
        return 0.0, 0.0

    def cpu_seconds(self) -> dict[int, float]:
        """Processor seconds that each process has used; the difference of two readings is what a load cost."""
        used = {}
        for process in self.processes:
            with contextlib.suppress(psutil.Error):
                times = process.cpu_times()
                used[process.pid] = times.user + times.system
        return used


class ServeSide(Side):
    """``facegraph serve``.

    Args:
        environment: variables beyond the caller's.
    """

    def __init__(self, name: str, data: Path, folder: Path, **environment: str) -> None:
        self.name = name
        own = _copy(data, folder / _slug(name))
        self._service = ServiceProcess(own, **environment)
        self.url, self.headers = f"{self._service.url}/v1/search", {"X-API-Key": self._service.key}

    def start(self) -> None:
        """See :class:`Side`."""
        self._service.start()

    def stop(self) -> None:
        """See :class:`Side`."""
        self._service.stop()

    @property
    def processes(self) -> list[psutil.Process]:
        """See :class:`Side`."""
        return self._service.processes

    def batches(self) -> tuple[float, float]:
        """From Ray's metrics, which are up to ten seconds old."""
        time.sleep(METRICS_PERIOD_S)
        totals = {"sum": 0.0, "count": 0.0}
        pattern = r'^ray_facegraph_batch_size_(sum|count)\{[^}]*stage="embedder"[^}]*\} (\S+)$'
        for part, value in re.findall(pattern, self._service.metrics(), re.MULTILINE):
            totals[part] += float(value)
        return totals["sum"], totals["count"]


class RivalSide(Side):
    """Another server over the same pipeline, in a process of its own; its port is the command's last argument.

    Args:
        tuned: whether it gets the service's own sessions instead of onnxruntime's usual ones.
    """

    def __init__(
        self, name: str, data: Path, folder: Path, python: Path, arguments: Sequence[str], tuned: bool
    ) -> None:
        self.name = name
        self._sessions = "shipped" if tuned else "default"
        self._data, self._python, self._arguments = _copy(data, folder / _slug(name)), python, arguments
        self._log = folder / f"{_slug(name)}.log"
        self._port = free_port()
        self.url, self.headers = f"http://127.0.0.1:{self._port}/search", {}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """See :class:`Side`."""
        environment = {
            **({"FACEGRAPH_MODEL_DIR": str(SHARED_MODELS)} if SHARED_MODELS.is_dir() else {}),
            **os.environ,
            DATA: str(self._data),
            SESSIONS: self._sessions,
            "PYTHONPATH": str(ROOT),
            "BENTOML_DO_NOT_TRACK": "True",
        }
        command = [str(self._python), *self._arguments, str(self._port)]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + 120
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"http://127.0.0.1:{self._port}/", trust_env=False, timeout=5).status_code < 500:
                    return
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} did not start:\n{self._log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.3)

    def stop(self) -> None:
        """See :class:`Side`."""
        family = self.processes
        for process in family:
            with contextlib.suppress(psutil.Error):
                process.terminate()
        _, left = psutil.wait_procs(family, timeout=10)
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()

    @property
    def processes(self) -> list[psutil.Process]:
        """See :class:`Side`."""
        if self._process is None or self._process.poll() is not None:
            return []
        own = psutil.Process(self._process.pid)
        return [own, *own.children(recursive=True)]


def all_sides(data: Path, folder: Path, wanted: Sequence[str]) -> list[Side]:
    """Those that are wanted, none started yet, in the order of the table."""
    here = Path(sys.executable)
    made: list[Side] = []
    for name in wanted:
        rival = name.removesuffix("-tuned")
        if rival in RIVALS:
            title, arguments = RIVALS[rival]
            python = own_environment(rival) if rival in PACKAGES else here
            tuned = name != rival
            title += ", facegraph's sessions" if tuned else ""
            made.append(RivalSide(title, data, folder, python, arguments, tuned))
        elif name == "default":
            options = {"FACEGRAPH_TOPOLOGY": "distributed", **SERVE_DEFAULTS}
            made.append(ServeSide("Serve graph, default flags", data, folder, **options))
        elif name == "distributed":
            made.append(ServeSide("facegraph, distributed", data, folder, FACEGRAPH_TOPOLOGY="distributed"))
        elif name == "shipped":
            made.append(ServeSide("facegraph, as shipped", data, folder))
        elif name == "behind-proxy":
            options = {"FACEGRAPH_INGRESS__OWN_PORT": "false"}
            made.append(ServeSide("facegraph, behind Serve's proxy", data, folder, **options))
    return made


def own_environment(package: str) -> Path:
    """The Python of an environment with this package, made at the first use; what it has not, it takes from ours."""
    folder = ENVIRONMENTS / PACKAGES[package].replace("==", "-")
    python, done = folder / "bin" / "python", folder / ".done"
    if not done.exists():
        print(f"Making an environment for {PACKAGES[package]} ...", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
        uv = [str(Path(sys.executable).with_name("uv")), "pip", "install", "--quiet", "--python", str(python)]
        subprocess.run([*uv, PACKAGES[package]], check=True, timeout=600)
        site = next((folder / "lib").glob("python*/site-packages"))
        ours = next(path for path in sys.path if path.endswith("site-packages"))
        (site / "facegraph-packages.pth").write_text(f"{ours}\n", encoding="utf-8")
        done.touch()
    return python


def _copy(data: Path, target: Path) -> Path:
    shutil.copytree(data, target)
    return target


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower())
