"""Parser of Ray Serve configuration files; it starts nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from serve_app.errors import ConfigurationError
from serve_app.known_names import suggestion
from serve_app.settings import Settings, load_settings

APPLIED = ("proxy_location", "http_options", "logging_config", "applications")
"""Keys of a file that ``facegraph serve`` applies."""

APPLIED_TO_APPLICATION = ("name", "route_prefix", "import_path", "args")
"""Keys of the application in a file that it applies."""

KNOWN = {
    "": (*APPLIED, "grpc_options", "controller_options", "tracing_config", "target_capacity"),
    "applications.0": (
        *APPLIED_TO_APPLICATION,
        "runtime_env",
        "host",
        "port",
        "deployments",
        "autoscaling_policy",
        "logging_config",
        "external_scaler_enabled",
    ),
    "http_options": (
        "host",
        "port",
        "root_path",
        "request_timeout_s",
        "keep_alive_timeout_s",
        "ssl_keyfile",
        "ssl_certfile",
        "ssl_keyfile_password",
        "ssl_ca_certs",
    ),
    "logging_config": (
        "encoding",
        "log_level",
        "logs_dir",
        "enable_access_log",
        "additional_log_standard_attrs",
    ),
}
"""Ray Serve's own keys in each part of a file. Ray Serve ignores others without a word."""

OF_THE_PROXY = frozenset(KNOWN["http_options"]) - {"host", "port", "request_timeout_s"}
"""HTTP options that need Serve's proxy, which does not run with ``ingress.own_port``."""


@dataclass(frozen=True)
class ServeFile:
    """Contents of a Serve configuration file.

    Attributes:
        settings: the application's settings, with the environment applied.
        serve: Ray Serve's part: the file's top level without ``applications`` (``http_options``, ``logging_config``,
            ...).
        not_applied: keys that ``facegraph serve`` leaves to Ray Serve's own commands.
    """

    settings: Settings
    serve: dict[str, Any]
    not_applied: tuple[str, ...] = ()


def read_serve_file(path: Path) -> ServeFile:
    """Read a file such as ``configs/local.yaml``.

    Raises ConfigurationError if the file cannot be read, is not YAML, does not configure exactly one application, or
    has unknown keys or invalid settings.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a safe loader
    except OSError as error:
        raise ConfigurationError(f"The configuration file cannot be read: {error}") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigurationError(f"{path} is not valid YAML: {error}") from None
    applications = content.get("applications") if isinstance(content, dict) else None
    if not isinstance(applications, list) or len(applications) != 1 or not isinstance(applications[0], dict):
        raise ConfigurationError(f"{path} must list exactly one application under 'applications'.")
    application = applications[0]
    serve = {key: value for key, value in content.items() if key != "applications"}
    parts = {
        "": content,
        "applications.0": application,
        **{name: serve.get(name) or {} for name in ("http_options", "logging_config")},
    }
    _refuse_unknown_keys(path, parts)
    arguments = application.get("args") or {}
    if not isinstance(arguments, dict):
        raise ConfigurationError(f"{path}: applications.0.args must have the settings by name.")
    settings = load_settings(arguments)
    not_applied = [key for key in content if key not in APPLIED]
    not_applied += [f"applications.0.{key}" for key in application if key not in APPLIED_TO_APPLICATION]
    if settings.ingress.own_port:
        not_applied += [f"http_options.{key}" for key in parts["http_options"] if key in OF_THE_PROXY]
    return ServeFile(settings, serve, tuple(not_applied))


def _refuse_unknown_keys(path: Path, parts: Mapping[str, Any]) -> None:
    problems = []
    for part, keys in parts.items():
        if not isinstance(keys, dict):
            problems.append(f"{part}: expected keys with values")
            continue
        unknown = [str(key) for key in keys if key not in KNOWN[part]]
        dot = "." if part else ""
        problems += [f"{part}{dot}{key}: is not a known key{suggestion(key, KNOWN[part])}" for key in unknown]
    if problems:
        raise ConfigurationError(f"{path} is not valid:\n  " + "\n  ".join(problems))


class _Loader(yaml.SafeLoader):
    """Refuses a key that is written twice, of which YAML's own loader ignores the first."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The mapping of a node."""
        written = [key.value for key, _ in node.value]
        twice = next((key for number, key in enumerate(written) if key in written[:number] and key != "<<"), None)
        if twice is not None:
            raise yaml.constructor.ConstructorError(None, None, f"{twice!r} is written twice", node.start_mark)
        return super().construct_mapping(node, deep)
