"""``facegraph serve``: the whole service on this machine, from nothing to ready, until it is told to stop."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Annotated, Any

import httpx
import psutil
import typer
from rich.console import Console

from serve_app.configuration import ServeFile, read_serve_file
from serve_app.domain import DEFAULT_TENANT, Role
from serve_app.errors import ConfigurationError, ModelFileError
from serve_app.resources import resource_dir
from serve_app.settings import Settings
from serve_app.vision.catalogue import Catalogue
from serve_app.vision.files import ModelFiles

RAY_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is reported to anybody
    # Despite its name: Ray takes 127.0.0.1 for its node, so that all its own ports listen on loopback only.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # the coming default; without it Ray warns
}
"""Set before Ray is imported, unless the caller's environment says otherwise."""

STOP_WITHIN_S = 25
"""A stop that takes longer is cut off."""

stdout, stderr = Console(), Console(stderr=True)


def serve(
    config: Annotated[Path | None, typer.Option(help="Serve configuration file [default: configs/local.yaml].")] = None,
    host: Annotated[str | None, typer.Option(envvar="FACEGRAPH_HOST", help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(envvar="FACEGRAPH_PORT", help="Port to listen on.")] = None,
) -> None:
    """Run the service on this machine until SIGINT or SIGTERM."""
    file = read_serve_file(config or resource_dir("configs") / "local.yaml")
    options = {"host": "127.0.0.1", "port": 8000, **file.serve.get("http_options", {})}
    options |= {key: value for key, value in (("host", host), ("port", port)) if value is not None}
    address = f"http://{options['host']}:{options['port']}"

    settings = file.settings
    _refuse_taken_port(options["host"], options["port"])
    _make_data_dir(settings)
    _fetch_models(settings)
    _install_admin_key(settings)

    stop = threading.Event()
    _on_signals(lambda *_: stop.set())
    running = _Graph(file, options)
    try:
        running.start(stop)
        if not stop.is_set():
            _wait_until_ready(address, stop)
        if not stop.is_set():
            stdout.print(f"[bold green]facegraph is ready[/] on {address} (API: {address}/docs). Stop it with Ctrl-C.")
        stop.wait()
    finally:
        _on_signals(signal.SIG_IGN)
        stdout.print("Stopping ...")
        running.stop()
    stdout.print("Stopped.")


class _Graph:
    """Ray and the application on it, started and stopped together."""

    def __init__(self, file: ServeFile, http_options: dict[str, Any]) -> None:
        self._file = file
        self._http_options = http_options

    def start(self, stop: threading.Event) -> None:
        options = dict(self._http_options)
        environment = dict(RAY_ENVIRONMENT)
        if self._file.settings.one_ingress:
            environment |= direct_ingress(options["port"])
            options["port"] = _free_port(options["host"])  # for Serve's proxy, which nobody needs to ask
        for name, value in environment.items():
            os.environ.setdefault(name, value)
        import ray
        from ray import serve as ray_serve
        from ray.serve.schema import LoggingConfig

        from serve_app.app import NAME, build

        with stderr.status("Starting Ray ..."):
            ray.init(
                include_dashboard=False,
                configure_logging=True,
                logging_level=logging.WARNING,
                log_to_driver=bool(os.environ.get("FACEGRAPH_VERBOSE")),
                object_store_memory=256 * 2**20,  # crops and answers are small; pictures are compressed
                _node_ip_address="127.0.0.1",
            )
        _on_signals(lambda *_: stop.set())  # Ray has set handlers of its own
        if stop.is_set():
            return
        with stderr.status("Starting the stages ..."):
            ray_serve.start(
                proxy_location=self._file.serve.get("proxy_location", "HeadOnly"),
                http_options=options,
            )
            ray_serve.run(
                build(self._file.settings.without_secrets().model_dump(mode="json")),
                name=NAME,
                route_prefix="/",
                logging_config=LoggingConfig(**self._file.serve.get("logging_config", {})),
            )

    def stop(self) -> None:
        family = psutil.Process().children(recursive=True)
        worker = threading.Thread(target=self._shut_down, daemon=True)
        worker.start()
        worker.join(STOP_WITHIN_S)
        _, alive = psutil.wait_procs(family, timeout=2)
        for process in alive:
            process.kill()
        psutil.wait_procs(alive, timeout=2)

    @staticmethod
    def _shut_down() -> None:
        ray = sys.modules.get("ray")
        if ray is None or not ray.is_initialized():
            return
        from ray import serve as ray_serve

        ray_serve.shutdown()  # type: ignore[no-untyped-call]
        ray.shutdown()


def direct_ingress(port: int) -> dict[str, str]:
    """What makes Serve's only ingress replica listen on the service's port itself, without a proxy before it.

    It saves 6 ms a request on two cores. A replica that takes a dead one's place gets the same port, at once.
    """
    return {
        "RAY_SERVE_ENABLE_DIRECT_INGRESS": "1",
        "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT": str(port),
        "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT": str(port),
        "RAY_SERVE_PORT_QUARANTINE_S": "0",
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "0",
    }


def _on_signals(handler: Any) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handler)


def _free_port(host: str) -> int:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def _make_data_dir(settings: Settings) -> None:
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise ConfigurationError(f"The data folder cannot be made: {error}") from None


def _refuse_taken_port(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigurationError(
                f"Port {port} on {host} cannot be used ({error.strerror}): stop what listens there, or choose another "
                "one with FACEGRAPH_PORT."
            ) from None


def _fetch_models(settings: Settings) -> None:
    """Every needed model file, before the first replica asks for it; liveness does with those that can be had."""
    catalogue, files = Catalogue.load(), ModelFiles(settings.model_dir, settings.model_cache_dir)
    with stderr.status("Looking for the model files ..."):
        for model in (settings.detector.model, settings.embedder.model):
            files.locate(catalogue.get(model))
        for model in settings.liveness.models:
            try:
                files.locate(catalogue.get(model))
            except ModelFileError:
                stderr.print(f"[yellow]Liveness works without {model}[/]: 'facegraph models verify' says why.")


def _install_admin_key(settings: Settings) -> None:
    """The admin key from the environment; or, on a new installation, one that is printed this once."""
    from serve_app.gallery import open_keys

    keys = open_keys(settings)
    try:
        if settings.api_key is not None:
            secret = settings.api_key.get_secret_value()
            if len(secret) < 16:
                stderr.print("[yellow]FACEGRAPH_API_KEY is short enough to be guessed; use 32 characters or more.[/]")
            keys.install(DEFAULT_TENANT, "FACEGRAPH_API_KEY", Role.ADMIN, secret)
        elif keys.count() == 0:
            _, secret = keys.create(DEFAULT_TENANT, "first admin key", Role.ADMIN)
            stdout.print("\nYour admin key, shown this once:", style="bold")
            stdout.print(f"  {secret}\n", highlight=False, soft_wrap=True)
    finally:
        keys.close()


def _wait_until_ready(address: str, stop: threading.Event, timeout_s: float = 120) -> None:
    deadline = time.monotonic() + timeout_s
    last = "no answer"
    with stderr.status("Waiting until every stage can serve ..."):
        while time.monotonic() < deadline and not stop.is_set():
            try:
                response = httpx.get(f"{address}/readyz", timeout=10, trust_env=False)
                if response.status_code == 200:
                    return
                last = response.text
            except httpx.HTTPError as error:
                last = str(error)
            stop.wait(0.2)
    if not stop.is_set():
        raise ConfigurationError(f"The service did not become ready within {timeout_s:.0f} s: {last}")
