"""Creation of private data folders, with a check that they are writable."""

from __future__ import annotations

import os
from pathlib import Path

from serve_app.errors import ConfigurationError


def private_folder(path: Path) -> Path:
    """Create the folder and its parents (mode 0700) unless it exists, and return it.

    Raises ConfigurationError if the folder cannot be created or is not writable.
    """
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise ConfigurationError(f"The folder {path} cannot be created: {error.strerror}.") from None
    if not os.access(path, os.W_OK):
        raise ConfigurationError(f"The folder {path} cannot be written to: it is read-only, or another user's.")
    return path
