"""Starts a victim process, kills it, and starts it again."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from serve_app.settings import Settings
from tests.faults.ledger import Ledger

ROOT = Path(__file__).resolve().parents[2]

KILLS = int(os.environ.get("FACEGRAPH_FAULT_KILLS", "0"))
"""Faults of each kind; 0 takes the few that continuous integration has time for."""


class Victim:
    """``tests.faults.victim`` as a child process; a thread reads what it says into the ledger.

    Args:
        environment: further variables of the process.
    """

    def __init__(self, settings: Settings, ledger: Ledger, **environment: str) -> None:
        self.ledger = ledger
        self._parent = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.victim", settings.model_dump_json()],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._events: queue.Queue[list[Any]] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._child = 0

    def start(self, seed: int, timeout_s: float = 240) -> None:
        """Begin a life; returns when the gallery is open."""
        assert self._parent.stdin is not None
        print(seed, file=self._parent.stdin, flush=True)
        while (event := self._events.get(timeout=timeout_s))[0] != "ready":
            if event[0] == "born":
                self._child = event[1]
            assert event[0] != "died", "the victim died by itself"

    def end(self, number: signal.Signals, timeout_s: float = 240) -> None:
        """Send the signal and wait until everything that it said is in the ledger."""
        os.kill(self._child, number)
        while (event := self._events.get(timeout=timeout_s))[0] != "died":
            self._child = event[1] if event[0] == "born" else self._child  # said by the parent, perhaps after "ready"

    def await_progress(self, changes: int, timeout_s: float) -> float:
        """Wait until this number of further changes is acknowledged; the seconds it took."""
        started, target = time.monotonic(), self.ledger.acknowledged + changes
        while self.ledger.acknowledged < target:
            assert time.monotonic() - started < timeout_s, f"no change was acknowledged for {timeout_s} s"
            time.sleep(0.02)
        return time.monotonic() - started

    def _read(self) -> None:
        assert self._parent.stdout is not None
        for line in self._parent.stdout:
            try:
                event = self.ledger.hear(line)
            except ValueError:  # the last line of a killed process may be cut off
                continue
            except AssertionError as error:
                self.failure = error
                event = ["died"]
            if event[0] in ("born", "ready", "died"):
                self._events.put(event)

    failure: AssertionError | None = None

    def __enter__(self) -> Victim:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._child or self._parent.pid, signal.SIGKILL)
        self._parent.kill()
        self._parent.wait()
        self._reader.join()  # ends with the victim's output
        for stream in (self._parent.stdin, self._parent.stdout):
            assert stream is not None
            stream.close()
        if self.failure is not None:
            raise self.failure
