"""Starts Ray and the application on this machine, waits until they are ready, and stops them in order."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import httpx
import psutil

from serve_app.cli import ray_folder
from serve_app.cli.output import stderr, stdout, warn
from serve_app.cli.start_watch import StartWatch, own_words
from serve_app.cli.supervisor import heeded_signals
from serve_app.errors import ConfigurationError, FacegraphError
from serve_app.listening import url_of
from serve_app.process_environment import prepare_own_ray
from serve_app.processors import cpu_count
from serve_app.runtime_folder import announced
from serve_app.serving.socket_handoff import SocketHandoff
from serve_app.settings.serve_file import ServeFile

STAGES = "the stages"
"""The step of the start in which Serve starts the replicas."""


def run_graph(file: ServeFile, http_options: dict[str, Any], metrics_port: int | None, watch: StartWatch) -> int:
    """Run the application until SIGTERM; returns 0 after an orderly stop.

    Args:
        http_options: options of Serve's proxy, with ``host`` and ``port``.
        metrics_port: loopback port of the Prometheus endpoint; None takes a free one.
        watch: ends a start that takes too long, and a service that has lost one of Ray's servers.

    Raises ConfigurationError if the application cannot start, Unavailable by ``watch``; the message says why.
    """
    stop, ready = threading.Event(), threading.Event()
    signals = heeded_signals()
    address = url_of(http_options["host"], http_options["port"])
    failure: list[BaseException] = []
    reasons: list[str] = []

    private = prepare_own_ray()
    folder = private / ray_folder.NAME
    folder.mkdir(exist_ok=True)
    own = file.settings.ingress.own_port
    listener = SocketHandoff(http_options["host"], http_options["port"], folder) if own else None

    def life() -> None:
        try:
            ray_address = _start(file, http_options, metrics_port, listener, folder, watch)
            with announced(private, ray_address):
                _wait_until_ready(address, stop, watch)
                ready.set()
                stop.wait()
            _shut_down()
        except BaseException as error:
            if watch.step == STAGES:  # asked here, since Ray ends together with this thread
                reasons.extend(stage_messages())
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
            for number in signals:  # repeatedly, since Ray installs its own handlers while it starts
                signal.signal(number, lambda *_: stop.set())
            watch.check_time(stage_messages)
            watch.check_processes()
            ready.wait(0.2)
    if ready.is_set():
        _say(f"[bold green]facegraph is ready[/] on {address} (API: {address}/docs). Stop it with Ctrl-C.")
    while thread.is_alive() and not stop.wait(1):
        watch.check_processes()
    if stop.is_set():
        _say("Stopping ...")
        if ready.is_set():
            thread.join()
    if failure and not stop.is_set():
        raise _explained(failure[0], reasons, folder)
    _say("Stopped.")
    return 0


def _explained(error: BaseException, reasons: list[str], folder: Path) -> FacegraphError:
    if isinstance(error, FacegraphError):
        return error
    return ConfigurationError(
        f"The stages did not start: {'; '.join(reasons) or error}\n"
        f"Their logs are in {folder}/session_latest/logs/serve; FACEGRAPH_VERBOSE=1 shows them here."
    )


def _say(text: str) -> None:
    with contextlib.suppress(OSError, SystemExit):  # the terminal or the reader of a pipe may be gone
        stdout.print(text)


def _start(
    file: ServeFile,
    http_options: dict[str, Any],
    metrics_port: int | None,
    listener: SocketHandoff | None,
    folder: Path,
    watch: StartWatch,
) -> str:
    """Start Ray and the application; the address of Ray."""
    verbose = bool(os.environ.get("FACEGRAPH_VERBOSE"))
    watch.step = "the imports of Ray and the stages"
    import ray
    from ray import serve
    from ray.serve.config import HTTPOptions, ProxyLocation
    from ray.serve.schema import LoggingConfig

    from serve_app.app import NAME, build

    # Everything that can be refused is made before Ray starts.
    arguments = file.settings.as_arguments()
    if listener is not None:
        arguments["ingress"] |= {"listener": listener.path}
    try:
        location = ProxyLocation("Disabled" if listener else file.serve.get("proxy_location", "HeadOnly"))
        http = HTTPOptions(**http_options)
        logs = LoggingConfig(**file.serve.get("logging_config", {}))
        application = build(arguments)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"The configuration file has a value that Ray Serve refuses: {error}") from None
    watch.step = "Ray's servers"
    _start_node(
        folder, metrics_port, logging_level=logging.WARNING if verbose else logging.ERROR, log_to_driver=verbose
    )
    watch.watch_servers()
    logging.getLogger("ray.serve").setLevel(logging.INFO if verbose else logging.ERROR)
    watch.step = "Serve's controller"
    serve.start(proxy_location=location, http_options=http)
    watch.step = STAGES
    serve.run(application, name=NAME, route_prefix="/", logging_config=logs)
    return str(ray.get_runtime_context().gcs_address)


def _start_node(folder: Path, metrics_port: int | None, **options: Any) -> None:
    """Start Ray's servers, with a second attempt if that fails: Ray can wait for a server that has already ended."""
    from serve_app.serving.ray_private import start_node

    ray_folder.sweep(folder)
    for last in (False, True):
        try:
            start_node(folder, metrics_port, **options)
            return
        except Exception as error:
            cause = f"{error} The load of the machine is {os.getloadavg()[0]:.1f} on {cpu_count()} processors."
            if last:
                raise ConfigurationError(
                    f"Ray's servers did not start, the second time either: {cause}\n"
                    f"Their logs are in {folder}/session_latest/logs."
                ) from error
            warn(f"Ray's servers did not start, trying a second time: {cause}")
            children = psutil.Process().children(recursive=True)
            for process in children:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(children, timeout=10)


def stage_messages() -> list[str]:
    """What Serve says of the deployments that do not run, one line each, in the service's own words if it has them.

    Nothing if Serve does not answer within 5 s.
    """
    from ray import serve

    from serve_app.app import NAME

    found: list[str] = []

    def ask() -> None:
        with contextlib.suppress(Exception):  # Ray may be what does not work
            deployments = serve.status().applications[NAME].deployments
            found.extend(f"{name}: {own_words(each.message)}" for name, each in deployments.items() if each.message)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(5)
    return found


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


def _wait_until_ready(address: str, stop: threading.Event, watch: StartWatch) -> None:
    last = "no answer"
    while not stop.is_set():
        watch.step = f"{address}/readyz to say that it is ready; it last said: {last}"
        try:
            response = httpx.get(f"{address}/readyz", timeout=10, trust_env=False)
            if response.status_code == 200:
                return
            last = response.text
        except httpx.HTTPError as error:
            last = str(error)
        stop.wait(0.2)
