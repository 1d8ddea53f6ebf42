"""Starts Ray and the application on this machine, waits until they are ready, and stops them in order."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
import time
from typing import Any

import httpx
import psutil

from serve_app.cli.output import stderr, stdout, warn
from serve_app.errors import ConfigurationError, FacegraphError
from serve_app.process_environment import RAY_ENVIRONMENT
from serve_app.serving.socket_handoff import SocketHandoff
from serve_app.settings.serve_file import ServeFile


def run_graph(file: ServeFile, http_options: dict[str, Any], metrics_port: int | None, ready_within_s: float) -> int:
    """Run the application until SIGTERM; returns 0 after an orderly stop.

    Args:
        http_options: options of Serve's proxy, with ``host`` and ``port``.
        metrics_port: loopback port of the Prometheus endpoint; None takes a free one.
        ready_within_s: seconds after which a start that is not complete is given up.

    Raises ConfigurationError if the application cannot start; the message says why.
    """
    stop, ready = threading.Event(), threading.Event()
    address = f"http://{http_options['host']}:{http_options['port']}"
    failure: list[BaseException] = []

    own = file.settings.ingress.own_port
    listener = SocketHandoff(http_options["host"], http_options["port"]) if own else None

    def life() -> None:
        try:
            _start(file, http_options, metrics_port, listener)
            _wait_until_ready(address, stop, ready_within_s)
            ready.set()
            stop.wait()
            _shut_down()
        except BaseException as error:
            failure.append(error)
        finally:
            if listener is not None:
                listener.close()

    # Ray blocks for long while it starts. So it starts on another thread, and this one can react to stop signals. That
    # thread must live as long as Ray: the kernel stops Ray's processes when the thread that started them ends.
    thread = threading.Thread(target=life, name="graph", daemon=True)
    with stderr.status("Starting the stages ..."):
        thread.start()
        while thread.is_alive() and not ready.is_set() and not stop.is_set():
            _on_stop(stop)  # repeatedly, since Ray installs its own handlers while it starts
            ready.wait(0.2)
    if ready.is_set():
        stdout.print(f"[bold green]facegraph is ready[/] on {address} (API: {address}/docs). Stop it with Ctrl-C.")
    while thread.is_alive() and not stop.is_set():
        stop.wait(1)
    if stop.is_set():
        stdout.print("Stopping ...")
        if ready.is_set():
            thread.join()
    if failure and not stop.is_set():
        if isinstance(failure[0], FacegraphError):
            raise failure[0]
        raise ConfigurationError(
            f"The stages did not start: {failure[0]}\nTheir logs are in /tmp/ray/session_latest/logs/serve; "
            "FACEGRAPH_VERBOSE=1 shows them here."
        ) from failure[0]
    stdout.print("Stopped.")
    return 0


def _start(
    file: ServeFile, http_options: dict[str, Any], metrics_port: int | None, listener: SocketHandoff | None
) -> None:
    for name, value in RAY_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    verbose = bool(os.environ.get("FACEGRAPH_VERBOSE"))
    from ray import serve
    from ray.serve.schema import LoggingConfig

    from serve_app.app import NAME, build

    _start_node(
        metrics_port,
        include_dashboard=False,
        logging_level=logging.WARNING if verbose else logging.ERROR,
        log_to_driver=verbose,
        object_store_memory=256 * 2**20,  # enough: crops and results are small, images are compressed
    )
    logging.getLogger("ray.serve").setLevel(logging.INFO if verbose else logging.ERROR)
    location = "Disabled" if listener else file.serve.get("proxy_location", "HeadOnly")
    serve.start(proxy_location=location, http_options=http_options)
    arguments = file.settings.as_arguments()
    if listener is not None:
        arguments["ingress"] |= {"listener": listener.path}
    serve.run(
        build(arguments),
        name=NAME,
        route_prefix="/",
        logging_config=LoggingConfig(**file.serve.get("logging_config", {})),
    )


def _start_node(metrics_port: int | None, **options: Any) -> None:
    """Start Ray's servers, with a second attempt if that fails: Ray can wait for a server that has already ended."""
    from serve_app.serving.ray_private import start_node

    for last in (False, True):
        try:
            start_node(metrics_port, **options)
            return
        except Exception:
            if last:
                raise
            warn("Ray's servers did not start; trying a second time.")
            children = psutil.Process().children(recursive=True)
            for process in children:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(children, timeout=10)


def _on_stop(stop: threading.Event) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())


def _shut_down() -> None:
    import ray
    from ray import serve

    if not os.environ.get("FACEGRAPH_VERBOSE"):
        # Ray prints an error when the controller ends, although that is intended here.
        sys.stderr.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    with contextlib.redirect_stdout(sys.stderr):  # where Ray prints it depends on how it hears of it
        serve.shutdown()  # type: ignore[no-untyped-call]
        ray.shutdown()


def _wait_until_ready(address: str, stop: threading.Event, within_s: float) -> None:
    deadline = time.monotonic() + within_s
    last = "no answer"
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
        raise ConfigurationError(f"The service did not become ready within {within_s:g} s: {last}")
