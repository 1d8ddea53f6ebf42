"""Two Ray nodes on loopback addresses, with facegraph deployed as on any cluster: ``ray start`` and ``serve deploy``.

Ray's token authentication is on. Clients come through the proxy of the head node, which runs no replica, as in
``deploy/kubernetes``.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml

from scripts.servers.ports import free_port
from serve_app.domain import DEFAULT_TENANT, Role
from serve_app.gallery import open_keys
from serve_app.process_environment import NODE_ENVIRONMENT, QUIET
from serve_app.settings import load_settings
from tests.graph.service import ROOT, model_environment

BIN = Path(sys.executable).parent
HEAD, WORKERS = "127.0.0.2", ("127.0.0.3", "127.0.0.4")
"""Each node has an address of its own; Ray would replace 127.0.0.1 by one that others can reach."""

WORKER_CPUS = 8
"""As Ray is told: room for all replicas on one node."""
STAGES = ("Ingress", "Detector", "Liveness", "Embedder", "Matcher")
READY_S = 480.0


class Cluster:
    """A head node without replicas and two nodes with them.

    Args:
        folder: for the service's own files.
        storage: settings of servers that all nodes reach.
    """

    def __init__(self, folder: Path, **storage: str) -> None:
        self._ray_dir = Path(tempfile.mkdtemp(prefix="fg-"))  # short: names of Unix sockets may have 107 characters
        self._ray_port, self._dashboard, self.port = free_port(), free_port(), free_port()
        self._config = folder / "cluster.yaml"
        token = secrets.token_hex(16)
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("FACEGRAPH_", "RAY_"))},
            **QUIET,
            **NODE_ENVIRONMENT,
            **model_environment(),
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": token,
            "FACEGRAPH_DATA_DIR": str(folder),
            **{f"FACEGRAPH_STORAGE__{name.upper()}": value for name, value in storage.items()},
        }
        self._dashboard_api = httpx.Client(
            base_url=f"http://{HEAD}:{self._dashboard}",
            headers={"Authorization": f"Bearer {token}"},
            trust_env=False,
            timeout=30,
        )
        settings = load_settings({"data_dir": folder, "storage": storage})
        with contextlib.closing(open_keys(settings)) as keys:
            self.key = keys.create(DEFAULT_TENANT, "tests", Role.ADMIN)[1]
        self._nodes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> Cluster:
        """Start all nodes; nothing is deployed yet."""
        head = ["--head", f"--port={self._ray_port}", f"--dashboard-host={HEAD}", "--include-dashboard=true"]
        self._start_node(HEAD, *head, f"--dashboard-port={self._dashboard}", "--num-cpus=0")
        self.until("the head node runs", lambda: self._started(HEAD))
        for address in WORKERS:  # one after the other: two that start together on one machine choose the same ports
            self.start_worker(address)
        return self

    def start_worker(self, address: str) -> None:
        """Start a node on one of :data:`WORKERS`; returns when it has joined."""
        self._start_node(address, f"--address={HEAD}:{self._ray_port}", f"--num-cpus={WORKER_CPUS}")
        self.until(f"the node {address} runs", lambda: self._started(address))

    def _start_node(self, address: str, *options: str) -> None:
        ports = [f"--{name}={free_port()}" for name in ("dashboard-agent-listen-port", "metrics-export-port")]
        command = [BIN / "ray", "start", "--block", "--disable-usage-stats", f"--node-ip-address={address}", *options]
        more = ["--min-worker-port=0", "--max-worker-port=0", f"--object-store-memory={128 * 2**20}"]
        more += [f"--temp-dir={self._ray_dir}/ray"] if "--head" in options else []
        with (self._ray_dir / f"{address}.log").open("wb") as log:
            self._nodes[address] = subprocess.Popen(
                [*map(str, command), *ports, *more],
                env=self._environment,
                cwd=ROOT,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _started(self, address: str) -> bool:
        assert self._nodes[address].poll() is None, f"the node {address} ended:\n{self.logs()}"
        return "Ray runtime started" in (self._ray_dir / f"{address}.log").read_text(errors="replace")

    def kill_node(self, address: str) -> int:
        """SIGKILL of all processes of a node at once; how many there were."""
        node = self._nodes.pop(address)
        family = [psutil.Process(node.pid), *psutil.Process(node.pid).children(recursive=True)]
        for act in ("suspend", "kill"):  # first none may notice that the others are gone
            for process in family:
                with contextlib.suppress(psutil.Error):
                    getattr(process, act)()
        node.wait()
        return len(family)

    def deploy(self, config: dict[str, Any]) -> None:
        """``serve deploy``; returns when the change is accepted, which is before it is made."""
        self._config.write_text(yaml.safe_dump(config))
        command = [str(BIN / "serve"), "deploy", "--address", str(self._dashboard_api.base_url), str(self._config)]
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def submit(self, *entrypoint: str) -> subprocess.CompletedProcess[str]:
        """``ray job submit``; returns with what it printed, the job's own output included, when the job has ended."""
        command = [str(BIN / "ray"), "job", "submit", "--address", str(self._dashboard_api.base_url), "--", *entrypoint]
        return subprocess.run(command, env=self._environment, capture_output=True, text=True, timeout=600, check=False)

    def status(self) -> dict[str, Any]:
        """Serve's details of the application."""
        answer = self._dashboard_api.get("/api/serve/applications/")
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()["applications"].get("facegraph", {})
        return found

    def replicas(self) -> dict[str, dict[str, str]]:
        """Addresses of the nodes of each stage's running replicas, by their ids."""
        return {
            name: {each["replica_id"]: each["node_ip"] for each in stage["replicas"] if each["state"] == "RUNNING"}
            for name, stage in self.status().get("deployments", {}).items()
        }

    def whole(self) -> bool:
        """Whether Serve says that every stage has the replicas that it shall have, and none is being replaced."""
        status = self.status()
        stages = status.get("deployments", {})
        return (
            status.get("status") == "RUNNING"
            and set(stages) == set(STAGES)
            and all(stage["status"] == "HEALTHY" for stage in stages.values())
            and all({each["state"] for each in stage["replicas"]} == {"RUNNING"} for stage in stages.values())
        )

    def until_whole(self, timeout_s: float = READY_S) -> float:
        """Wait for it; the seconds it took."""
        return self.until("all replicas run", self.whole, timeout_s)

    def until(self, what: str, done: Callable[[], bool], timeout_s: float = READY_S) -> float:
        """Wait until ``done()``; the seconds it took."""
        started = time.monotonic()
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if done():
                    return time.monotonic() - started
            if time.monotonic() - started > timeout_s:
                raise AssertionError(f"not within {timeout_s} s: {what}\n{self.logs()}")
            time.sleep(0.25)

    def logs(self) -> str:
        """What the nodes printed, and what Serve says."""
        printed = [file.read_text(errors="replace")[-2000:] for file in self._ray_dir.glob("*.log")]
        with contextlib.suppress(httpx.HTTPError):
            printed.append(str(self.status())[-6000:])
        return "\n".join(printed)

    def client(self) -> httpx.Client:
        """An HTTP client that shows the admin key."""
        headers = {"X-API-Key": self.key}
        return httpx.Client(base_url=f"http://{HEAD}:{self.port}", headers=headers, timeout=60, trust_env=False)

    def stop(self) -> None:
        """End every process at once, since nothing of it is kept, and remove Ray's files."""
        for address in list(self._nodes):
            self.kill_node(address)
        self._dashboard_api.close()
        shutil.rmtree(self._ray_dir, ignore_errors=True)


def configuration(port: int) -> dict[str, Any]:
    """``configs/cluster.yaml`` made small: two replicas of each stage, on few cores, on loopback."""
    config: dict[str, Any] = yaml.safe_load((ROOT / "configs/cluster.yaml").read_text())
    config["proxy_location"] = "HeadOnly"
    config["http_options"] |= {"host": HEAD, "port": port}
    arguments = config["applications"][0]["args"]
    del arguments["storage"]  # from the environment of the nodes
    for stage in STAGES:
        options = arguments[stage.lower()]["serve"]
        options["num_cpus"] = 0.5
        options["autoscaling"] |= {"min_replicas": 2, "max_replicas": 2}
        if stage != "Ingress" and stage != "Matcher":
            arguments[stage.lower()]["inference"]["threads"] = 1
    return config
