"""The environment of every process of the service, in one place.

Importing ``serve_app`` applies :data:`QUIET` and :func:`keep_local_calls_local`, so that they hold in each process that
runs code of the service, however it was started. Commands, examples and tests apply the rest through the functions
here; ``deploy/docker/Dockerfile`` repeats the variables of a node for the image, and a test compares them.
``facegraph environment`` prints them for nodes that do not run the image.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import MutableMapping
from pathlib import Path

from serve_app.errors import ConfigurationError
from serve_app.runtime_folder import announced_address, certificate_file, runtime_folder, token_file

Environment = MutableMapping[str, str]

QUIET = {
    "ORT_DISABLE_TELEMETRY": "1",  # onnxruntime reads it when it is imported; a call after that is too late
    "RAY_USAGE_STATS_ENABLED": "0",
    # With reports switched off, `ray start` still sends one that says so: it gets a closed port of this machine.
    "RAY_USAGE_STATS_REPORT_URL": "http://127.0.0.1:9",
}
"""Set in every process, whatever the caller's environment says: nothing reports to anybody."""

NODE_ENVIRONMENT = {
    # Without it, a Ray that finds no token starts all the same, and runs code for everybody who reaches its ports.
    "RAY_AUTH_MODE": "token",
    # On a busy machine Ray's servers and workers take longer to start than Ray's defaults of 5 to 60 s allow.
    "RAY_agent_register_timeout_ms": "300000",
    "RAY_raylet_start_wait_time_s": "180",
    "RAY_gcs_server_port_wait_time_s": "180",
    "RAY_gcs_rpc_server_connect_timeout_s": "60",
    "RAY_worker_register_timeout_seconds": "180",
    # One log file and one former one, in bytes each. Half of what idle servers log is statistics of their event loops.
    "RAY_ROTATION_MAX_BYTES": str(2 * 2**20),
    "RAY_ROTATION_BACKUP_COUNT": "1",
    "RAY_event_stats": "0",
    "RAY_worker_niceness": "0",  # Ray's default gives all other processes of the machine priority over the replicas
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "serve_app.serving.proxy_middleware.middlewares",
    # By default Serve's controller checks everything ten times a second. That takes half of an idle service's
    # processor time, in the controller and in the Ray servers that it queries.
    "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.5",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # Ray's future default; unset, Ray warns
}
"""For every Ray node, on one machine and in a cluster, unless the caller's environment sets them; before Ray is
imported."""

LOOPBACK_ENVIRONMENT = {
    # Despite its name: Ray takes 127.0.0.1 for its node, so that its own servers listen on loopback only.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_ENABLE_CLUSTER_STATUS_LOG": "0",  # of the autoscaler, every 5 s: one machine has nothing to scale
    # Under `uv run` Ray would copy the working folder and start its workers by another command.
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
}
"""For the Ray of ``facegraph serve`` and programs that join it, unless the caller's environment sets them."""

REPLICA_ENVIRONMENT = {
    # The handlers never block, so one event loop per replica suffices, which saves two thread switches per call.
    "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "0",
    "RAY_SERVE_RUN_ROUTER_IN_SEPARATE_LOOP": "0",
    "RAY_SERVE_LOG_TO_STDERR": "0",
    # Serve's limit of 4 MiB for a gRPC message is less than a large image; the settings' limits apply instead.
    "RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH": str(2**30),
}
"""For replicas only: a driver that uses handles from synchronous code does not work with these."""

TLS_FILES = ("RAY_TLS_SERVER_CERT", "RAY_TLS_SERVER_KEY", "RAY_TLS_CA_CERT")
"""Set for the Ray of ``facegraph serve`` and programs that join it, unless the caller sets ``RAY_USE_TLS``.

Ray's servers refuse connections without the certificate, and its clients servers without it. The token alone is not
enough: Ray's control server ends at a call of ``RaySyncer/StartSync`` without metadata, before it looks for a token.
"""

OTHER_RAY = (
    "RAY_ADDRESS",
    "RAY_CLIENT_MODE",
    "RAY_GCS_SERVER_PORT",
    "RAY_JOB_CONFIG_JSON_ENV_VAR",
    "RAY_OVERRIDE_LABELS",
    "RAY_OVERRIDE_NODE_ID_FOR_TESTING",
    "RAY_OVERRIDE_RESOURCES",  # Ray's autoscaler sets it on its nodes; without processors no replica would start
    "RAY_REDIS_ADDRESS",
    "RAY_RUNTIME_ENV_HOOK",
    "RAY_gcs_storage",
    "RAY_gcs_storage_path",
)
"""What tells Ray of another cluster, or of a job or a node there: ``facegraph serve`` has a Ray of its own and takes it
out."""

BREAKING = ("PYTHONDEVMODE", "PYTHONINSPECT", "PYTHONOPTIMIZE", "PYTHONVERBOSE", "PYTHONWARNINGS")
"""Variables for developers of Python programs: Ray and the commands need their docstrings, and warn when imported."""

LOCAL_ADDRESSES = ("localhost", "127.0.0.1", "::1", "127.0.0.0/8", "0.0.0.0")  # noqa: S104  # nothing is bound
"""What no proxy is asked for. Some programs understand networks, others only names and addresses."""


def keep_quiet(environment: Environment = os.environ) -> None:
    """Switch all reports off."""
    environment.update(QUIET)


def keep_local_calls_local(environment: Environment = os.environ) -> None:
    """Complete the lists of what no proxy is asked for; lists that do not exist are made if there is a proxy."""
    names = ["no_proxy", "NO_PROXY"]
    if not any(name.lower().endswith("_proxy") and environment[name] for name in environment):
        return
    if "no_grpc_proxy" in environment:  # gRPC takes it instead of the others
        names.append("no_grpc_proxy")
    # Programs read the name in small or in capital letters: what one list has must be in all of them.
    listed = [entry.strip() for name in names for entry in environment.get(name, "").split(",")]
    entries = ["*"] if "*" in listed else [entry for entry in (*listed, *LOCAL_ADDRESSES) if entry]
    environment.update(dict.fromkeys(names, ",".join(dict.fromkeys(entries))))


def node_environment(environment: Environment = os.environ) -> dict[str, str]:
    """The variables of a Ray node, with its private folder, and with a token in that if the user has none for Ray."""
    folder = runtime_folder(environment)
    variables = QUIET | NODE_ENVIRONMENT | {"RAY_TMPDIR": str(folder)}
    if not _has_token(environment) and not Path("~/.ray/auth_token").expanduser().exists():
        variables["RAY_AUTH_TOKEN_PATH"] = str(token_file(folder))
    return variables


def prepare_loopback_ray(environment: Environment = os.environ) -> None:
    """For a program that joins the Ray of ``facegraph serve`` on this machine; before Ray is imported.

    Sets ``RAY_ADDRESS``, unless the caller's environment does, to the service of this user that started last. Ray's
    own search (``address="auto"``) would believe any user's process and show it the token. Raises ConfigurationError
    if no service runs.
    """
    folder = _prepare_private_files(environment)
    for name, value in (LOOPBACK_ENVIRONMENT | {"RAY_AUTH_MODE": "token"}).items():
        environment.setdefault(name, value)
    if not environment.get("RAY_ADDRESS"):
        address = announced_address(folder)
        if address is None:
            raise ConfigurationError(
                f"No facegraph serve of this user runs here, by the files in {folder}: start it, or set RAY_ADDRESS to "
                "the address of Ray."
            )
        environment["RAY_ADDRESS"] = address


def prepare_own_ray(environment: Environment = os.environ) -> Path:
    """For the process that starts a Ray of its own on this machine; before Ray is imported.

    Returns the private folder (:func:`~serve_app.runtime_folder.runtime_folder`).
    """
    folder = _prepare_private_files(environment)
    for name in OTHER_RAY:
        environment.pop(name, None)
    for name, value in {**NODE_ENVIRONMENT, **LOOPBACK_ENVIRONMENT}.items():
        environment.setdefault(name, value)
    environment["RAY_AUTH_MODE"] = "token"  # whatever the caller's environment says: the machine can have other users
    return folder


def _prepare_private_files(environment: Environment) -> Path:
    folder = runtime_folder(environment)
    environment["RAY_TMPDIR"] = str(folder)  # instead of /tmp/ray, which belongs to the user who made it first
    if not _has_token(environment):
        environment["RAY_AUTH_TOKEN_PATH"] = str(token_file(folder))
    if not environment.get("RAY_USE_TLS"):
        environment.update({"RAY_USE_TLS": "1", **dict.fromkeys(TLS_FILES, str(certificate_file(folder)))})
    return folder


def _has_token(environment: Environment) -> bool:
    return any(environment.get(name) for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"))


def start_again_without_breaking_variables() -> None:
    """Replace this process by itself without :data:`BREAKING`; does nothing if none of them is set."""
    if found := os.environ.keys() & set(BREAKING):
        for name in found:
            del os.environ[name]
        sys.stdout.flush()
        sys.stderr.flush()
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606  # this process's own command line


def as_shell(variables: dict[str, str]) -> str:
    """Lines of a shell that export the variables."""
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items())
