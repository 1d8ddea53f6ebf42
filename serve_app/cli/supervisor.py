"""Supervisor: runs work in a child process with its own session, and removes all processes of the session afterwards.

Ray starts a dozen processes. If they were in the terminal's process group, Ctrl-C would reach all of them at once, and
the service could not shut down in order. So the work runs in a child with its own session; the parent passes stop
signals to that child only, and stops the session's remaining processes when the child has ended for any reason. Both
hold an end of a pair of sockets: the child notices by it that its supervisor has ended, and then stops in order as
well, and the supervisor notices whether the child came to its own end.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from types import FrameType

import psutil

from serve_app.cli.output import warn
from serve_app.control_groups import OWN_GROUPS

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def heeded_signals() -> list[signal.Signals]:
    """The stop signals, without those that were ignored when this process was started, as by ``nohup``."""
    return [number for number in STOP_SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]


def supervised(work: Callable[[], int], stop_within_s: float) -> int:
    """Run ``work`` in a child process until it ends; returns its exit code, 1 if something else ended it.

    The child gets SIGTERM once, when this process gets a stop signal or ends, and is killed ``stop_within_s`` seconds
    later. The result of ``work`` is the exit code.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    kills = OWN_GROUPS.memory_kills()
    here, there = socket.socketpair()
    # Blocked until there are handlers: a signal in between would end only one of the two.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    child = os.fork()
    if child == 0:
        here.close()
        os._exit(_as_session(work, there, stop_within_s, mask))
    there.close()
    deadline: float | None = None

    def pass_on(number: int, frame: FrameType | None) -> None:
        nonlocal deadline
        if deadline is None:
            deadline = time.monotonic() + stop_within_s
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGTERM)

    for number in heeded_signals():
        signal.signal(number, pass_on)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        if deadline is not None and time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.05)
    came_to_its_end = bool(here.recv(1, socket.MSG_DONTWAIT))
    _remove_session(child)
    if came_to_its_end:
        return os.waitstatus_to_exitcode(status)
    if deadline is None:
        warn(_what_ended_it(os.waitstatus_to_exitcode(status), OWN_GROUPS.memory_kills() > kills))
    elif time.monotonic() > deadline:
        warn(f"The service did not stop within {stop_within_s:g} s and was killed.")
    return 1


def _what_ended_it(code: int, out_of_memory: bool) -> str:
    """``code``: as of :func:`os.waitstatus_to_exitcode`, negative for a signal."""
    by = f"signal {signal.Signals(-code).name}" if code < 0 else f"a fault, with exit code {code}"
    limit = OWN_GROUPS.memory()
    memory = "the memory" if limit is None else f"the memory ({limit / 2**20:.0f} MiB are allowed here)"
    if out_of_memory:
        return f"The service was ended by {by}: the system ended processes of it, because {memory} was used up."
    if code == -signal.SIGKILL:
        return f"The service was ended by {by}. Usually the system sends it when {memory} is used up."
    return f"The service was ended by {by}."


def _as_session(work: Callable[[], int], supervisor: socket.socket, stop_within_s: float, mask: set[int]) -> int:
    orphaned = threading.Event()

    def watch() -> None:
        supervisor.recv(1)  # nothing is sent: it returns when the supervisor has ended
        orphaned.set()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(stop_within_s)
        _remove_session(os.getpid())
        os._exit(1)

    try:
        os.setsid()
        for number in {*heeded_signals(), signal.SIGTERM}:  # SIGTERM is the supervisor's word, whatever it ignores
            signal.signal(number, signal.SIG_DFL)
        threading.Thread(target=watch, name="supervisor", daemon=True).start()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        return work()
    except SystemExit as ending:
        return ending.code if isinstance(ending.code, int) else 1
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):  # the terminal may be gone
                stream.flush()
        if orphaned.is_set():
            _remove_session(os.getpid())
        with contextlib.suppress(OSError):
            supervisor.send(b".")


def _remove_session(leader: int) -> None:
    """Stop all other processes of the session, including those whose parents have ended."""
    for signal_name in ("terminate", "kill"):
        left = []
        for process in psutil.process_iter():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if os.getsid(process.pid) == leader and process.pid != os.getpid():
                    left.append(process)
        for process in left:
            with contextlib.suppress(psutil.Error):
                getattr(process, signal_name)()
        psutil.wait_procs(left, timeout=2)
