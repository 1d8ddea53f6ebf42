"""The servers that the throughput benchmark compares, each on its own copy of the same data folder."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx
import psutil

from benchmarks.common.machine import ROOT
from benchmarks.common.service import ServerProcess, ServiceProcess
from benchmarks.load.rivals.pipeline import DATA, SESSIONS
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
SHIPPED = "facegraph, as shipped"
SERVICES = {
    "default": ("Serve graph, default flags", {"FACEGRAPH_TOPOLOGY": "distributed", **SERVE_DEFAULTS}),
    "distributed": ("facegraph, distributed", {"FACEGRAPH_TOPOLOGY": "distributed"}),
    "shipped": (SHIPPED, {}),
    "behind-proxy": ("facegraph, behind Serve's proxy", {"FACEGRAPH_INGRESS__OWN_PORT": "false"}),
}
"""Forms of this service: option -> name in tables, environment variables."""

RIVALS = {
    "fastapi": ("FastAPI + uvicorn", ["-m", "benchmarks.load.rivals.with_fastapi"]),
    "litserve": ("LitServe", ["-m", "benchmarks.load.rivals.with_litserve"]),
    "bentoml": (
        "BentoML",
        ["-m", "bentoml", "serve", "benchmarks.load.rivals.with_bentoml:Search", "--host", "127.0.0.1", "--port"],
    ),
}
"""Other servers: option -> name in tables, arguments of Python before the port."""

PACKAGES = {"litserve": "litserve==0.2.19", "bentoml": "bentoml==1.4.39"}
ENVIRONMENTS = Path(sys.prefix) / "rivals"
TUNED = "-tuned"
CONTENDERS = (*RIVALS, *(rival + TUNED for rival in RIVALS), *SERVICES)
"""In the order of the table."""


class Contender:
    """A server under test.

    Args:
        name: in tables and plots.
        server: its processes.
        url: that searches are sent to.
        headers: of searches.
    """

    def __init__(self, name: str, server: ServerProcess, url: str, headers: Mapping[str, str]) -> None:
        self.name, self.url, self.headers = name, url, dict(headers)
        self._server = server

    def start(self) -> None:
        """Start it; returns when it serves. Raises RuntimeError with its output when it does not."""
        self._server.start()

    def stop(self) -> None:
        """End it and all that it started."""
        self._server.stop()

    def batches(self) -> tuple[float, float]:
        """Faces and calls of the embedder since the start, after a wait; zeros where they are not counted."""
        return 0.0, 0.0

    def cpu_seconds(self) -> dict[int, float]:
        """Processor seconds that each process has used; the difference of two readings is the cost of a load."""
        used = {}
        for process in self._server.processes:
            with contextlib.suppress(psutil.Error):
                times = process.cpu_times()
                used[process.pid] = times.user + times.system
        return used


class ServiceContender(Contender):
    """``facegraph serve``.

    Args:
        data: the data folder, of which it gets a copy in ``folder``.
        environment: variables beyond the caller's.
    """

    def __init__(self, name: str, data: Path, folder: Path, **environment: str) -> None:
        self.service = ServiceProcess(_copy(data, folder / _slug(name)), **environment)
        super().__init__(name, self.service, f"{self.service.url}/v1/search", {"X-API-Key": self.service.key})

    def batches(self) -> tuple[float, float]:
        """From Ray's metrics, which are up to ten seconds old."""
        time.sleep(METRICS_PERIOD_S)
        totals = {"sum": 0.0, "count": 0.0}
        pattern = r'^ray_facegraph_batch_size_(sum|count)\{[^}]*stage="embedder"[^}]*\} (\S+)$'
        for part, value in re.findall(pattern, self.service.metrics(), re.MULTILINE):
            totals[part] += float(value)
        return totals["sum"], totals["count"]


class RivalServer(ServerProcess):
    """Another server over the same pipeline; its port is the command's last argument."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log_path: Path) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        super().__init__([*command, str(port)], environment, log_path)

    def stop(self, timeout_s: float = 10, *, signal_all: bool = True) -> None:
        """See :class:`ServerProcess`."""
        super().stop(timeout_s, signal_all=signal_all)

    def ready(self) -> bool:
        """See :class:`ServerProcess`."""
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(f"{self.url}/", trust_env=False, timeout=5).status_code < 500
        return False


def contenders(data: Path, folder: Path, wanted: Sequence[str]) -> list[Contender]:
    """The wanted ones of :data:`CONTENDERS`, not started, in the order given."""
    made: list[Contender] = []
    for option in wanted:
        if option in SERVICES:
            name, environment = SERVICES[option]
            made.append(ServiceContender(name, data, folder, **environment))
        else:
            made.append(_rival(option.removesuffix(TUNED), data, folder, option.endswith(TUNED)))
    return made


def _rival(option: str, data: Path, folder: Path, tuned: bool) -> Contender:
    """One of :data:`RIVALS`; ``tuned`` with the service's own sessions instead of onnxruntime's default ones."""
    name, arguments = RIVALS[option]
    name += ", facegraph's sessions" if tuned else ""
    environment = {
        DATA: str(_copy(data, folder / _slug(name))),
        SESSIONS: "shipped" if tuned else "default",
        "PYTHONPATH": str(ROOT),
        "BENTOML_DO_NOT_TRACK": "True",
    }
    python = own_environment(option) if option in PACKAGES else Path(sys.executable)
    server = RivalServer([str(python), *arguments], environment, folder / f"{_slug(name)}.log")
    return Contender(name, server, f"{server.url}/search", {})


def own_environment(package: str) -> Path:
    """The Python of an environment with this package, made at the first use; it sees this one's packages, too."""
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
