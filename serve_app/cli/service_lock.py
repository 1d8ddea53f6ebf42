"""Lock of a data folder: one service on embedded stores at a time."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from serve_app.errors import ConfigurationError
from serve_app.folders import private_folder

NAME = "service.lock"


def lock_data_folder(folder: Path) -> int | None:
    """Create the folder and lock it; the descriptor that holds the lock in this process and those that it forks.

    None where the file system has no locks. Raises ConfigurationError: a service runs on the folder, or the folder
    cannot be used; nothing was written.
    """
    held = os.open(private_folder(folder) / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(held, 20).decode(errors="replace").strip() or "unknown"
        os.close(held)
        raise ConfigurationError(
            f"The data folder {folder} cannot be used: another process has it open, process {owner}. Stop that "
            "one, or choose another folder with FACEGRAPH_DATA_DIR."
        ) from None
    except OSError:
        os.close(held)
        return None
    os.ftruncate(held, 0)
    os.pwrite(held, f"{os.getpid()}\n".encode(), 0)
    return held
