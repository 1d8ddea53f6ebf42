"""Parser of Ray Serve configuration files; it starts nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from serve_app.errors import ConfigurationError
from serve_app.settings import Settings, load_settings


@dataclass(frozen=True)
class ServeFile:
    """Contents of a Serve configuration file.

    Attributes:
        settings: the application's settings, with the environment applied.
        serve: Ray Serve's part: the file's top level without ``applications`` (``http_options``, ``logging_config``,
            ...).
    """

    settings: Settings
    serve: dict[str, Any]


def read_serve_file(path: Path) -> ServeFile:
    """Read a file such as ``configs/local.yaml``.

    Raises ConfigurationError if the file cannot be read, is not YAML, does not configure exactly one application, or
    has invalid settings.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"The configuration file cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path} is not valid YAML: {error}") from None
    applications = content.get("applications") if isinstance(content, dict) else None
    if not isinstance(applications, list) or len(applications) != 1 or not isinstance(applications[0], dict):
        raise ConfigurationError(f"{path} must list exactly one application under 'applications'.")
    serve = {key: value for key, value in content.items() if key != "applications"}
    return ServeFile(load_settings(applications[0].get("args") or {}), serve)
