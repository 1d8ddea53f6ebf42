"""Running something in a session of its own and leaving nothing of it behind.

Ray starts a dozen processes. Were they in the terminal's process group, Ctrl-C would reach each of them at once, and
the service could no longer shut down in order. So the work happens in a child with its own session; the parent passes
on stop signals to that child alone, and removes whatever is left when it is gone, however it ended.
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
    """Run ``work`` in a child process until it ends; the exit code.

    Args:
        work: gets SIGTERM, once, when this process gets a stop signal. Its result is the exit code.
        stop_within_s: seconds after that signal before it is killed.

    Returns:
        The child's code; 1 if it was killed by a signal.
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
    """Stop every process of the session, also one whose parents are gone."""
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
