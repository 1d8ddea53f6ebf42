"""The folder of Ray's sockets and logs is short, writable and this user's own; files of ended runs are removed."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from serve_app.cli.ray_folder import KEPT_RUNS, LONGEST, ray_folder, require_token_folder, sweep
from serve_app.errors import ConfigurationError


@pytest.fixture
def short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for temporary files with a short path, which leads into the test's own."""
    for name in ("RAY_TMPDIR", "TMPDIR"):
        monkeypatch.delenv(name, raising=False)
    link = Path(f"/tmp/fg{os.getpid()}")
    link.symlink_to(tmp_path)
    monkeypatch.setattr("serve_app.cli.ray_folder.USUAL", (str(link),))
    yield link
    link.unlink()


def test_the_folder_is_private(short: Path) -> None:
    folder = ray_folder()
    assert folder == short / f"facegraph-ray-{os.getuid()}"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert ray_folder() == folder


def test_a_short_folder_that_is_named_is_taken(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (short / "t").mkdir()
    monkeypatch.setenv("TMPDIR", str(short / "t"))
    assert ray_folder().parent == short / "t"


@pytest.mark.parametrize("name", ["RAY_TMPDIR", "TMPDIR"])
@pytest.mark.parametrize("value", ["/tmp/" + "long/" * 20, "/proc/nothing", "/nonexistent"])
def test_a_folder_that_sockets_cannot_be_in_is_not_taken(
    name: str, value: str, short: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    assert ray_folder().parent == short


def test_without_any_folder_the_message_has_all_reasons(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", "/tmp/" + "ü" * 40)
    monkeypatch.setattr("serve_app.cli.ray_folder.USUAL", ("/nonexistent",))
    with pytest.raises(ConfigurationError, match=r"ü: too long.*nonexistent: No such file.*RAY_TMPDIR"):
        ray_folder()


def test_sockets_in_the_longest_folder_have_paths_that_the_kernel_takes() -> None:
    longest = f"/session_2026-11-30_18-47-28_123456_{2**22}/sockets/plasma_store"
    assert LONGEST + len(longest) <= 107


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


def test_a_home_that_cannot_be_written_is_named() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", "/proc/nothing")
        with pytest.raises(ConfigurationError, match=r"/proc/nothing/\.ray/auth_token.*HOME"):
            require_token_folder({})
        require_token_folder({"RAY_AUTH_TOKEN": "0123456789abcdef"})
        require_token_folder({"RAY_AUTH_TOKEN_PATH": "/run/secrets/token"})


def test_a_home_that_can_be_written_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    require_token_folder({})


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
