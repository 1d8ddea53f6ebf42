"""The folder of the Ray that ``facegraph serve`` starts: sockets and logs, one sub-folder per run.

It is in the private folder (:mod:`serve_app.runtime_folder`), and not Ray's default folder there: programs would join
the latest Ray that was started in that.
"""

from __future__ import annotations

import contextlib
import re
import shutil
from pathlib import Path

import psutil

NAME = "serve"
"""Its name in the private folder."""

KEPT_RUNS = 3
"""How many ended runs keep their logs."""

_SESSION = re.compile(r"session_[\d-]+_[\d-]+_\d+_(?P<pid>\d+)")


def sweep(folder: Path) -> None:
    """Remove the files of ended runs, except the last few."""
    ended = [
        path
        for path in folder.glob("session_*")
        if not path.is_symlink() and (name := _SESSION.fullmatch(path.name)) and not _runs(int(name["pid"]), path)
    ]
    for path in sorted(ended)[:-KEPT_RUNS]:
        shutil.rmtree(path, ignore_errors=True)


def _runs(pid: int, session: Path) -> bool:
    """Whether the process that made the session runs; a younger process with its number is another one."""
    with contextlib.suppress(psutil.Error, OSError):
        return psutil.Process(pid).create_time() <= session.stat().st_mtime
    return False
