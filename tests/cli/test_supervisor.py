"""The supervised processes end with their supervisor."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

SCRIPT = """
import os, signal, subprocess, sys, time
from serve_app.cli.supervisor import supervised

def work():
    mode, folder = sys.argv[1:]
    if mode == "exit":
        return 7
    if mode == "raise":
        raise RuntimeError("on purpose")
    # A grandchild whose parent is gone, as Ray's agents are after a crash.
    subprocess.run([sys.executable, "-c", "import subprocess, sys; subprocess.Popen(['sleep', '600'])"], check=True)
    if mode == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    open(folder + "/started", "w").write(str(os.getsid(0)))
    if mode == "crash":
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(600)

sys.exit(supervised(work, stop_within_s=1))
"""


def run(mode: str, folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SCRIPT, mode, str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def started(folder: Path) -> int:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if (folder / "started").exists() and (text := (folder / "started").read_text()):
            return int(text)
        time.sleep(0.02)
    raise AssertionError("it did not start")


def in_session(session: int) -> list[int]:
    found = []
    for pid in psutil.pids():
        try:
            if os.getsid(pid) == session and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                found.append(pid)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return found


@pytest.mark.parametrize(("mode", "code"), [("exit", 7), ("raise", 1)])
def test_the_code_is_passed_on(tmp_path: Path, mode: str, code: int) -> None:
    process = run(mode, tmp_path)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == code
    assert ("on purpose" in output) == (mode == "raise")


@pytest.mark.parametrize("mode", ["stubborn", "willing", "crash"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left(tmp_path: Path, mode: str, number: signal.Signals) -> None:
    process = run(mode, tmp_path)
    session = started(tmp_path)
    assert session != os.getsid(0)
    process.send_signal(number)
    process.communicate(timeout=120)
    assert process.returncode != 0
    assert in_session(session) == []
