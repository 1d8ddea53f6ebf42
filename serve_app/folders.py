"""Folders for what is stored: private, and known to be writable before anything depends on it."""

from __future__ import annotations

import os
from pathlib import Path

from serve_app.errors import ConfigurationError


def private_folder(path: Path) -> Path:
    """The folder, made with its parents if it is not there.

    Raises:
        ConfigurationError: it cannot be made, or not be written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise ConfigurationError(f"The folder {path} cannot be created: {error.strerror}.") from None
    if not os.access(path, os.W_OK):
        raise ConfigurationError(f"The folder {path} cannot be written to: read-only, or another user's.")
    return path
