"""One service per data folder: the second one is refused before it writes anything, with the first one's process id."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scripts.servers.ports import free_port
from serve_app.cli.service_lock import NAME, lock_data_folder, lock_database
from serve_app.errors import ConfigurationError
from tests.graph.service import ROOT

HOLDER = """
import os, sys, time
from pathlib import Path
from serve_app.cli.service_lock import lock_data_folder
lock_data_folder(Path(sys.argv[1]))
if sys.argv[2] == "fork" and os.fork():
    os._exit(0)
print(os.getpid(), flush=True)
time.sleep(600)
"""


def hold(folder: Path, how: str) -> tuple[subprocess.Popen[str], int]:
    """The process that locks the folder, and the one that holds the lock in the end."""
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(folder), how], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    return holder, int(holder.stdout.readline())


def test_a_second_service_is_refused_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    holder, _ = hold(folder, "stay")
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    # Topology and all else by default; only importing takes time.
    environment = {**os.environ, "FACEGRAPH_DATA_DIR": str(folder), "FACEGRAPH_PORT": str(free_port())}
    command = [str(Path(sys.executable).parent / "facegraph"), "serve"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    holder.kill()
    holder.communicate()
    assert done.returncode == 2
    assert f"another process has it open, process {holder.pid}." in " ".join(done.stderr.split())
    assert done.stdout == ""
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_the_lock_ends_with_all_that_hold_it(tmp_path: Path) -> None:
    """The child of a supervisor that was killed still holds it; a file that was left over does not."""
    holder, child = hold(tmp_path, "fork")
    holder.wait(60)
    with pytest.raises(ConfigurationError, match=f"process {holder.pid}"):
        lock_data_folder(tmp_path)
    os.kill(child, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while True:
        try:
            held = lock_data_folder(tmp_path)
            break
        except ConfigurationError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert held is not None
    assert (tmp_path / NAME).read_text() == f"{os.getpid()}\n"
    os.close(held)
    holder.communicate()


def test_a_database_is_locked_wherever_it_is(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            HOLDER.replace("lock_data_folder", "lock_database"),
            str(tmp_path / "records.db"),
            "stay",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    with pytest.raises(ConfigurationError, match=f"process {holder.pid}. .* FACEGRAPH_STORAGE__DATABASE_URL"):
        lock_database(tmp_path / "records.db")
    held = lock_database(tmp_path / "other.db")
    assert held is not None
    os.close(held)
    assert lock_database(tmp_path / "absent" / "records.db") is None
    holder.kill()
    holder.communicate()
