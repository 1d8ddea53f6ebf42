"""A real instance of the service, started the way a user starts it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import psutil

from scripts.servers.ports import free_port
from serve_app.domain import Role
from serve_app.errors import TenantExists
from serve_app.gallery import KeyStore, TenantStore, open_database
from serve_app.listening import url_of
from serve_app.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
SHARED_MODELS = ROOT.parent / "shared" / "models"


def model_environment() -> dict[str, str]:
    """Where model files are that no registry has, on machines that have them."""
    return {"FACEGRAPH_MODEL_DIR": str(SHARED_MODELS)} if SHARED_MODELS.is_dir() else {}


def key_of_tenant(data_dir: Path, tenant: str) -> str:
    """A new admin key of a tenant, which is made if there is none of that name; a service may run on the folder."""
    settings = Settings(data_dir=data_dir)
    with contextlib.closing(KeyStore(database := open_database(settings))) as keys:
        tenants = TenantStore(database)
        with contextlib.suppress(TenantExists):
            tenants.create(tenant)
        return keys.create(tenants.named(tenant).id, "tests", Role.ADMIN)[1]


class RunningService:
    """``facegraph serve`` as a process of its own.

    Args:
        data_dir: its data folder; a second instance on the same folder finds what the first one stored.
        ignored: a signal that is ignored when it starts, as by ``nohup``: "HUP".
        environment: further variables, such as ``FACEGRAPH_TOPOLOGY``.
    """

    def __init__(self, data_dir: Path, key: str | None = "", ignored: str = "", **environment: str) -> None:
        self.data_dir = data_dir
        self.key = secrets.token_urlsafe(32) if key == "" else key
        self.port = free_port()
        self.url = url_of(environment.get("FACEGRAPH_HOST", "127.0.0.1"), self.port)
        self.metrics_port = free_port()
        self.log_path = data_dir.parent / f"{data_dir.name}-{self.port}.log"
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("FACEGRAPH_")},
            "FACEGRAPH_DATA_DIR": str(data_dir),
            "FACEGRAPH_PORT": str(self.port),
            "FACEGRAPH_METRICS_PORT": str(self.metrics_port),
            "FACEGRAPH_TOPOLOGY": "single",  # the default depends on the machine
            "FACEGRAPH_VERBOSE": "1",
            "PYTHONUNBUFFERED": "1",
            **model_environment(),
            **({"FACEGRAPH_API_KEY": self.key} if self.key is not None else {}),
            **environment,
        }
        # Tests may run with signals ignored (in the background of a script), which the service would respect.
        signals = ["--default-signal=INT,HUP,QUIT,TERM", *([f"--ignore-signal={ignored}"] if ignored else [])]
        self.command = ["env", *signals, str(Path(sys.executable).parent / "facegraph"), "serve"]
        self._process: subprocess.Popen[bytes] | None = None
        self.family: list[psutil.Process] = []

    def start(self, timeout_s: float = 360) -> RunningService:
        """Start it and wait until it says that it is ready; a failure shows its log."""
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self.command, cwd=ROOT, env=self._environment, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if "facegraph is ready" in self.log():
                self.family = psutil.Process(self._process.pid).children(recursive=True)
                return self
            if self._process.poll() is not None:
                raise AssertionError(f"facegraph serve ended with {self._process.returncode}:\n{self.log()}")
            time.sleep(0.1)
        self.stop()
        raise AssertionError(f"facegraph serve was not ready within {timeout_s} s:\n{self.log()}")

    def stop(self, number: signal.Signals = signal.SIGTERM, timeout_s: float = 180) -> float:
        """Send the signal and wait for the end; the seconds it took. A second call does nothing."""
        if self._process is None:
            return 0.0
        started = time.monotonic()
        self._process.send_signal(number)
        try:
            self._process.wait(timeout_s)
        finally:
            for process in [*self.family, psutil.Process()]:
                if process.pid != os.getpid() and process.is_running() and self._process.poll() is None:
                    process.kill()
        took = time.monotonic() - started
        self._process = None
        return took

    def close(self) -> None:
        """Stop it, for ``contextlib.closing``."""
        self.stop()

    @property
    def pid(self) -> int:
        """Of its first process."""
        assert self._process is not None
        return self._process.pid

    def replicas(self, deployment: str) -> list[psutil.Process]:
        """Running processes of one deployment."""
        assert self._process is not None
        found = []
        for process in psutil.Process(self._process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if process.status() != psutil.STATUS_ZOMBIE and f"facegraph:{deployment}" in " ".join(
                    process.cmdline()
                ):
                    found.append(process)
        return found

    def survivors(self) -> list[psutil.Process]:
        """Processes of the stopped service that still run."""
        return [p for p in self.family if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]

    def log(self) -> str:
        """All that it printed so far."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def ray_address(self) -> str:
        """Of the Ray cluster below it, for drivers that use the Python handle."""
        for process in self.family:
            with contextlib.suppress(psutil.Error):
                for argument in process.cmdline():
                    if argument.startswith("--gcs-address="):
                        return argument.removeprefix("--gcs-address=")
        raise AssertionError("no Ray process tells its address")

    def ray_logs(self) -> Path:
        """The folder in which the replicas of this instance write their logs."""
        for process in self.family:
            with contextlib.suppress(psutil.Error):
                for argument in process.cmdline():
                    if found := re.fullmatch(r"--session[-_]dir=(\S+)", argument):
                        return Path(found.group(1)) / "logs/serve"
        raise AssertionError("no Ray process tells its session's folder")

    def logged(self, deployment: str, request_id: str) -> list[dict[str, Any]]:
        """What the replicas of one deployment have logged of a request so far."""
        files = self.ray_logs().glob(f"replica_facegraph_{deployment}_*.log")
        lines = [line for file in files for line in file.read_text().splitlines(keepends=True)]
        whole = [json.loads(line) for line in lines if line.endswith("\n")]
        return [line for line in whole if line.get("request_id") == request_id]

    def enrol_without_a_store(self, image: bytes, collection: str, request_id: str) -> httpx.Response:
        """The answer to an enrolment in a new collection while no face image can be stored."""
        blobs, away = self.data_dir / "blobs", self.data_dir / "away"
        with self.client() as client:
            client.post("/v1/collections", json={"name": collection}).raise_for_status()
            blobs.rename(away)
            try:
                blobs.touch()  # no folder any more
                path = f"/v1/collections/{collection}/persons/ada"
                return client.put(path, files={"image": image}, headers={"X-Request-ID": request_id})
            finally:
                blobs.unlink()
                away.rename(blobs)

    def printed_key(self) -> str:
        """The admin key that a new installation prints once."""
        found = re.search(r"^\s+(fg_\S+)\s*$", self.log(), re.MULTILINE)
        assert found, self.log()
        return found.group(1)

    def client(self, key: str | None = None, **options: Any) -> httpx.Client:
        """An HTTP client that shows the admin key, or another one."""
        headers = {"X-API-Key": key or self.key or ""}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60, trust_env=False, **options)
