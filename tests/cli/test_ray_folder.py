"""Files of ended runs of Ray are removed; make names a home folder that cannot be written to."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from serve_app.cli.ray_folder import KEPT_RUNS, sweep


def test_files_of_ended_runs_are_removed_except_the_last_few(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    sessions = [tmp_path / f"session_2026-11-{day:02}_10-00-00_123456_{ended.pid}" for day in range(1, 7)]
    running = tmp_path / f"session_2026-10-01_10-00-00_123456_{os.getpid()}"
    other = tmp_path / "somebody's folder"
    for path in (*sessions, running, other):
        (path / "logs").mkdir(parents=True)
    (tmp_path / "session_latest").symlink_to(sessions[-1])
    sweep(tmp_path)
    left = {*sessions[-KEPT_RUNS:], running, other, tmp_path / "session_latest"}
    assert set(tmp_path.iterdir()) == left
    sweep(tmp_path)
    assert set(tmp_path.iterdir()) == left


def test_a_younger_process_with_the_number_of_an_ended_run_is_another_one(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        sessions = [tmp_path / f"session_2026-11-{day:02}_10-00-00_123456_{process.pid}" for day in range(1, 6)]
        for path in sessions:
            path.mkdir()
            os.utime(path, (0, 0))
        sweep(tmp_path)
        process.communicate(b"\n")
    assert set(tmp_path.iterdir()) == set(sessions[-KEPT_RUNS:])


def test_make_names_a_home_that_cannot_be_written(tmp_path: Path) -> None:
    script = Path(__file__).resolve().parents[2] / "scripts/check-home"

    def check(**environment: str) -> subprocess.CompletedProcess[str]:
        given = {"PATH": os.environ["PATH"], **environment}
        return subprocess.run([str(script)], env=given, capture_output=True, text=True, timeout=60, check=False)

    refused = check(HOME="/proc/nothing")
    assert refused.returncode == 1
    assert "/proc/nothing (HOME) cannot be written" in refused.stderr
    assert check(HOME=str(tmp_path / "my home")).returncode == 0
    assert check(HOME="/proc/nothing", UV_CACHE_DIR=str(tmp_path)).returncode == 0
