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

from tests.control_group import control_group

SCRIPT = """
import os, signal, subprocess, sys, threading, time
from serve_app.cli.supervisor import supervised

grown = []

def work():
    mode, folder = sys.argv[1:]
    if mode == "exit":
        return 7
    while mode == "grow":
        grown.append(bytearray(10**7))
    if mode == "vanish":
        os._exit(3)
    if mode == "raise":
        raise RuntimeError("on purpose")
    # A grandchild whose parent is gone, as Ray's agents are after a crash.
    subprocess.run([sys.executable, "-c", "import subprocess, sys; subprocess.Popen(['sleep', '600'])"], check=True)
    if mode == "orderly":
        stop = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
        open(folder + "/started", "w").write(str(os.getsid(0)))
        while not stop.wait(0.1):
            pass
        open(folder + "/stopped", "w").close()
        return 0
    if mode == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    open(folder + "/started", "w").write(str(os.getsid(0)))
    if mode == "crash":
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(600)

sys.exit(supervised(work, stop_within_s=1))
"""


def run(mode: str, folder: Path, ignored: signal.Signals | None = None) -> subprocess.Popen[str]:
    """A supervisor that leads a group of its own; it ignores stop signals only if told so, as the tests may."""
    stops = "INT,TERM,HUP,QUIT"
    signals = [f"--default-signal={stops}", *([f"--ignore-signal={ignored.name[3:]}"] if ignored else [])]
    command = ["env", *signals, sys.executable, "-c", SCRIPT, mode, str(folder)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


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


@pytest.mark.parametrize(("mode", "words"), [("crash", "signal SIGKILL. Usually"), ("vanish", "exit code 3")])
def test_an_end_from_outside_is_named(tmp_path: Path, mode: str, words: str) -> None:
    process = run(mode, tmp_path)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "The service was ended by" in output
    assert words in output


@pytest.mark.parametrize(
    ("mode", "number"),
    [
        ("orderly", signal.SIGKILL),
        ("orderly", signal.SIGQUIT),
        ("orderly", signal.SIGABRT),
        ("stubborn", signal.SIGKILL),
        ("stubborn", signal.SIGQUIT),
    ],
)
def test_nothing_is_left_however_the_supervisor_ends(tmp_path: Path, mode: str, number: signal.Signals) -> None:
    process = run(mode, tmp_path)
    session = started(tmp_path)
    process.send_signal(number)
    process.communicate(timeout=120)  # until all that hold its output have ended
    await_end(session)
    assert (tmp_path / "stopped").exists() == (mode == "orderly")


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM])
def test_a_signal_that_was_ignored_stays_ignored(tmp_path: Path, number: signal.Signals) -> None:
    """As by ``nohup``, and for SIGINT and SIGQUIT by ``&`` in a script."""
    process = run("orderly", tmp_path, ignored=number)
    session = started(tmp_path)
    process.send_signal(number)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1)
    process.send_signal(signal.SIGTERM if number is not signal.SIGTERM else signal.SIGINT)
    process.communicate(timeout=120)
    assert process.returncode == 0
    await_end(session)
    assert (tmp_path / "stopped").exists()


def test_ctrl_c_at_any_moment_leaves_no_process(tmp_path: Path) -> None:
    """As from a terminal: to all processes of the group, before and after the fork."""
    for number in range(6):
        folder = tmp_path / str(number)
        folder.mkdir()
        process = run("willing", folder)
        deadline = time.monotonic() + 120
        family = []
        while number >= 1 and not family:  # the first one gets it while it imports
            assert time.monotonic() < deadline
            family = psutil.Process(process.pid).children(recursive=True)
        time.sleep(number / 100)  # each at another moment after the fork
        family = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=120)
        assert process.returncode != 0
        assert [each.pid for each in family if each.is_running() and each.status() != psutil.STATUS_ZOMBIE] == []


def await_end(session: int) -> None:
    deadline = time.monotonic() + 60
    while in_session(session):
        assert time.monotonic() < deadline, "processes are left"
        time.sleep(0.05)


def test_an_end_for_want_of_memory_is_named(tmp_path: Path) -> None:
    with control_group("memory", "memory.limit_in_bytes", "120M") as join:
        command = [sys.executable, "-c", f"{join}\n{SCRIPT}", "grow", str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert "because the memory (120 MiB are allowed here) was used up." in " ".join(done.stderr.split())
