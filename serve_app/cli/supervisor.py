"""Supervisor: runs work in a child process with its own session, and removes all processes of the session afterwards.

Ray starts a dozen processes. If they were in the terminal's process group, Ctrl-C would reach all of them at once, and
the service could not shut down in order. So the work runs in a child with its own session; the parent passes stop
signals to that child only, and stops the session's remaining processes when the child has ended for any reason.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from types import FrameType

import psutil

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def supervised(work: Callable[[], int], stop_within_s: float) -> int:
    """Run ``work`` in a child process until it ends; returns its exit code, 1 if a signal killed it.

    The child gets SIGTERM once, when this process gets a stop signal, and is killed ``stop_within_s`` seconds later.
    The result of ``work`` is the exit code.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        os._exit(_as_session(work))
    deadline: float | None = None

    def pass_on(number: int, frame: FrameType | None) -> None:
        nonlocal deadline
        if deadline is None:
            deadline = time.monotonic() + stop_within_s
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGTERM)

    for number in STOP_SIGNALS:
        signal.signal(number, pass_on)
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        if deadline is not None and time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.05)
    _remove_session(child)
    return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 1


def _as_session(work: Callable[[], int]) -> int:
    os.setsid()
    try:
        return work()
    except SystemExit as ending:
        return ending.code if isinstance(ending.code, int) else 1
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def _remove_session(leader: int) -> None:
    """Stop all processes of the session, including those whose parents have ended."""
    for signal_name in ("terminate", "kill"):
        left = []
        for process in psutil.process_iter():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if os.getsid(process.pid) == leader:
                    left.append(process)
        for process in left:
            with contextlib.suppress(psutil.Error):
                getattr(process, signal_name)()
        psutil.wait_procs(left, timeout=2)
