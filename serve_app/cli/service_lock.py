"""Locks of a data folder and of an SQLite database: one service on embedded stores at a time."""

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
    return _locked(private_folder(folder) / NAME, f"The data folder {folder}", "folder with FACEGRAPH_DATA_DIR")


def lock_database(file: Path) -> int | None:
    """Lock an SQLite database, which can be outside of the data folder; as :func:`lock_data_folder`.

    None also where its folder does not exist yet.
    """
    if not file.parent.is_dir():
        return None
    beside = file.with_name(f"{file.name}.service.lock")  # ".lock" is of migrations
    return _locked(beside, f"The database {file}", "database with FACEGRAPH_STORAGE__DATABASE_URL")


def _locked(file: Path, what: str, other: str) -> int | None:
    held = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(held, 20).decode(errors="replace").strip() or "unknown"
        os.close(held)
        raise ConfigurationError(
            f"{what} cannot be used: another process has it open, process {owner}. Stop that one, or choose another "
            f"{other}."
        ) from None
    except OSError:
        os.close(held)
        return None
    os.ftruncate(held, 0)
    os.pwrite(held, f"{os.getpid()}\n".encode(), 0)
    return held
