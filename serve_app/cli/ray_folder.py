"""The folder of the Ray that ``facegraph serve`` starts: sockets and logs, one sub-folder per run.

It is not Ray's default folder, ``/tmp/ray``: that belongs to all Rays of the machine, and the latest one to start there
makes programs of the others join it.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import psutil

from serve_app.errors import ConfigurationError

LONGEST = 42
"""Most bytes of the folder's path: Ray appends up to 64, and the path of a Unix socket has 107 at most."""

KEPT_RUNS = 3
"""How many ended runs keep their logs."""

USUAL = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108  # the folder in them is checked

_SESSION = re.compile(r"session_[\d-]+_[\d-]+_\d+_(?P<pid>\d+)")


def ray_folder() -> Path:
    """Create the folder unless it exists, readable by this user alone, and return it.

    It is in the first of ``RAY_TMPDIR``, ``TMPDIR``, ``/tmp``, ``/var/tmp`` and ``/dev/shm`` that is short and
    writable. Raises ConfigurationError if none is.
    """
    named = (os.environ.get("RAY_TMPDIR"), os.environ.get("TMPDIR"), *USUAL)
    faults = []
    for parent in dict.fromkeys(name for name in named if name):
        folder = Path(parent).absolute() / f"facegraph-ray-{os.getuid()}"
        if len(os.fsencode(folder)) > LONGEST:
            faults.append(f"{parent}: too long for the names of sockets")
            continue
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            if folder.stat().st_uid == os.getuid() and os.access(folder, os.W_OK | os.X_OK):
                return folder
            faults.append(f"{folder}: another user's, or read-only")
        except OSError as error:
            faults.append(f"{parent}: {error.strerror}")
    raise ConfigurationError(
        "Ray needs a folder for its sockets and logs, and none of these can be used: "
        f"{'; '.join(faults)}. Set RAY_TMPDIR to a short path that can be written to."
    )


def require_token_folder(environment: Mapping[str, str] = os.environ) -> None:
    """Raise ConfigurationError if Ray can neither read nor create its token in the home folder."""
    if environment.get("RAY_AUTH_TOKEN") or environment.get("RAY_AUTH_TOKEN_PATH"):
        return
    advice = "set HOME to a folder that can be written to."
    try:
        token = Path.home() / ".ray" / "auth_token"
    except RuntimeError:
        raise ConfigurationError(f"Ray keeps a token in the home folder, and this user has none: {advice}") from None
    with contextlib.suppress(OSError):
        token.parent.mkdir(parents=True, exist_ok=True)
    if not os.access(token, os.R_OK) and not os.access(token.parent, os.W_OK | os.X_OK):
        raise ConfigurationError(f"Ray keeps a token in {token}, which cannot be written: {advice}")


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
