"""Where the folders ``models/`` and ``configs/`` are: in a checkout at the top, in a wheel inside the package."""

from __future__ import annotations

from pathlib import Path

from serve_app.errors import ConfigurationError


def resource_dir(name: str) -> Path:
    """The folder ``models`` or ``configs``.

    Raises:
        ConfigurationError: the installation is incomplete.
    """
    package = Path(__file__).resolve().parent
    for candidate in (package / "_bundled" / name, package.parent / name):
        if candidate.is_dir():
            return candidate
    raise ConfigurationError(f"The folder {name!r} is missing beside {package}: reinstall facegraph.")
