"""A run of tests that is stopped, and a test that is slow, name what they waited for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.photos import ROOT

WAITING = """
import threading
from tests.stopping import show_stacks_when_stopped

show_stacks_when_stopped()

def test_of_something():
    the_event_that_never_comes()

def the_event_that_never_comes():
    print("begun", flush=True)
    threading.Event().wait(120)
"""


@pytest.fixture
def waiting(tmp_path: Path) -> Path:
    """A folder with a test that waits."""
    (tmp_path / "test_waiting.py").write_text(WAITING)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    return tmp_path


def started(folder: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def test_a_run_that_is_stopped(waiting: Path) -> None:
    run = started(waiting, "-s")  # the file's import is no hook of pytest's, before which output is not captured
    assert run.stdout is not None
    for line in run.stdout:
        if "begun" in line:
            break
    run.send_signal(signal.SIGTERM)
    said = run.stdout.read()
    run.stdout.close()
    assert run.wait(60) == -signal.SIGTERM
    assert "in the_event_that_never_comes" in said
    assert "in test_of_something" in said


def test_a_test_that_is_slow(waiting: Path) -> None:
    run = started(waiting, "-o", "faulthandler_timeout=1", "--timeout=3")
    said, _ = run.communicate(timeout=120)
    shown = said.partition("Timeout (0:00:01)!")[2].partition("Timeout >3.0s")[0]
    assert "in the_event_that_never_comes" in shown
    assert "in test_of_something" in shown


def test_the_suite_shows_slow_tests_before_it_ends_them(pytestconfig: pytest.Config) -> None:
    slow, end = (float(pytestconfig.getini(name)) for name in ("faulthandler_timeout", "timeout"))
    assert 0 < slow < end
