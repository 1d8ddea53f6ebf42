"""Lookup of the folders ``models/`` and ``configs/``: at the top of a checkout, inside the package in a wheel."""

from __future__ import annotations

from pathlib import Path

from serve_app.errors import ConfigurationError


def resource_dir(name: str) -> Path:
    """Path of the folder ``models`` or ``configs``.

    Raises ConfigurationError if the folder is missing; the installation is incomplete.
    """
    package = Path(__file__).resolve().parent
    for candidate in (package / "_bundled" / name, package.parent / name):
        if candidate.is_dir():
            return candidate
    raise ConfigurationError(f"The folder {name!r} is missing beside {package}: reinstall facegraph.")
