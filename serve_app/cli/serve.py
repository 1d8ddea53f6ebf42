"""``facegraph serve``: run the whole service on this machine until it is stopped."""

from __future__ import annotations

import contextlib
import errno
import math
import socket
from pathlib import Path
from typing import Annotated

import psutil
import typer

from serve_app.cli.output import fail, note, stderr, stdout, warn
from serve_app.cli.ray_runtime import run_graph
from serve_app.cli.service_lock import lock_data_folder, lock_database
from serve_app.cli.start_watch import StartWatch
from serve_app.cli.supervisor import supervised
from serve_app.control_groups import OWN_GROUPS, ControlGroups
from serve_app.domain import DEFAULT_TENANT, Role
from serve_app.errors import ConfigurationError, FacegraphError, ModelFileError
from serve_app.folders import private_folder
from serve_app.listening import checked_host, checked_port, family_of
from serve_app.resources import resource_dir
from serve_app.settings import Settings, Topology
from serve_app.settings.serve_file import read_serve_file
from serve_app.vision.catalogue import Catalogue
from serve_app.vision.model_files import ModelFiles

READY_WITHIN_S = 240
"""Seconds after which a start is given up, not counting the download of models; a busy machine takes minutes."""

NEEDED_MIB = {Topology.SINGLE: 1100, Topology.COMPACT: 1350, Topology.DISTRIBUTED: 1950}
"""Memory of all processes of an idle service with a small gallery, on two processors (docs/operations.md#processes)."""

STOP_WITHIN_S = 25
"""Seconds after a stop signal until the service is killed."""


def serve(
    config: Annotated[
        Path | None, typer.Option(help="Serve configuration file.", show_default="configs/local.yaml")
    ] = None,
    host: Annotated[str | None, typer.Option(envvar="FACEGRAPH_HOST", help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(envvar="FACEGRAPH_PORT", help="Port to listen on.")] = None,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            envvar="FACEGRAPH_METRICS_PORT",
            min=1,
            max=65535,
            help="Loopback port of the Prometheus endpoint.",
            show_default="a free one",
        ),
    ] = None,
) -> None:
    """Run the service on this machine until SIGINT or SIGTERM."""
    file = read_serve_file(config or resource_dir("configs") / "local.yaml")
    for name in file.not_applied:
        warn(f"{name} in the configuration file has no effect here: facegraph serve does not apply it.")
    options = {"host": "127.0.0.1", "port": 8000, **file.serve.get("http_options", {})}
    options |= {key: value for key, value in (("host", host), ("port", port)) if value is not None}
    options |= {"host": checked_host(options["host"]), "port": checked_port(options["port"], "FACEGRAPH_PORT")}
    if file.settings.embedded_store:
        lock_data_folder(file.settings.data_dir)
    if file.settings.embedded_database:
        lock_database(file.settings.database_file)
    _refuse_taken_port(options["host"], options["port"], "FACEGRAPH_PORT")
    if metrics_port is not None:
        _refuse_taken_port("127.0.0.1", metrics_port, "FACEGRAPH_METRICS_PORT")

    def work() -> int:
        try:
            note(f"Topology: {file.settings.topology} ({file.settings.topology_reason}).")
            if little := little_memory(file.settings.topology):
                warn(little)
            private_folder(file.settings.data_dir)
            _check_locations(file.settings)
            _fetch_models(file.settings)
            watch = StartWatch(READY_WITHIN_S)
            _install_admin_key(file.settings)
            return run_graph(file, options, metrics_port, watch)
        except FacegraphError as error:
            return fail(error.message).exit_code

    raise typer.Exit(supervised(work, STOP_WITHIN_S))


def little_memory(topology: Topology, groups: ControlGroups = OWN_GROUPS) -> str | None:
    """A warning if the machine, or a control group of this process, has less memory than the service needs."""
    limit = min(groups.memory() or math.inf, psutil.virtual_memory().total) / 2**20
    if limit >= NEEDED_MIB[topology]:
        return None
    return (
        f"The service needs about {NEEDED_MIB[topology]} MiB of memory with the topology {topology}, and has "
        f"{limit:.0f} MiB here: the system may end it."
    )


def _refuse_taken_port(host: str, port: int, variable: str) -> None:
    family = family_of(host)
    advice = f"stop the program that listens there, or choose another port with {variable}."
    with socket.socket(family, socket.SOCK_STREAM) as caller:
        caller.settimeout(1)
        if caller.connect_ex((host, port)) == 0:
            raise ConfigurationError(f"Port {port} on {host} cannot be used, another program answers there: {advice}")
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # Both options, as Ray's server: else closed connections of the last run would block the port for a minute.
        for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
            probe.setsockopt(socket.SOL_SOCKET, option, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EACCES:
                advice = f"only the superuser may use it, choose one from 1024 with {variable}."
            elif error.errno == errno.EADDRNOTAVAIL:
                advice = "this machine does not have the address, choose another one with FACEGRAPH_HOST."
            raise ConfigurationError(f"Port {port} on {host} cannot be used ({error.strerror}): {advice}") from None


def _check_locations(settings: Settings) -> None:
    from serve_app.gallery import check_locations

    check_locations(settings)


def _fetch_models(settings: Settings) -> None:
    """Fetch the model files; missing liveness models only cause a warning."""
    catalogue, files = Catalogue.load(), ModelFiles(settings.model_dir, settings.model_cache_dir)
    with stderr.status("Looking for the model files ..."):
        for model in (settings.detector.model, settings.embedder.model):
            files.locate(catalogue.get(model))
        for model in settings.liveness.models:
            try:
                files.locate(catalogue.get(model))
            except ModelFileError:
                warn(f"Liveness runs without {model}: run 'facegraph models verify' for the reason.")


def _install_admin_key(settings: Settings) -> None:
    """Install the admin key from the environment or, on a new installation, create one and print it once."""
    from serve_app.gallery import open_keys

    with contextlib.closing(open_keys(settings)) as keys:
        if settings.api_key is not None:
            secret = settings.api_key.get_secret_value()
            if len(secret) < 16:
                warn("FACEGRAPH_API_KEY has fewer than 16 characters and can be guessed; use 32 or more.")
            keys.install(DEFAULT_TENANT, "FACEGRAPH_API_KEY", Role.ADMIN, secret)
        elif keys.count() == 0:
            _, secret = keys.create(DEFAULT_TENANT, "first admin key", Role.ADMIN)
            stdout.print("\nYour admin key, shown this once:", style="bold")
            stdout.print(f"  {secret}\n", highlight=False, soft_wrap=True)
