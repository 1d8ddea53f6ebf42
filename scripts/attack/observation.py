"""What a service does beside an attack: another process asks for its health and searches as an ordinary client does."""

from __future__ import annotations

import contextlib
import http.client
import multiprocessing
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import psutil

from scripts.attack.target import COLLECTION, Target

PROBE_PERIOD_S = 0.05
SEARCH_PERIOD_S = 0.1
TIMEOUT_S = 90.0
IDLE_SHARE = 0.3
WINDOW = 20
SAMPLE_S = 0.02
"""A service is idle if in fewer than this share of the samples one of its threads runs, or waits for a processor:
unlike processor time this does not depend on what else the machine does."""

MB = 1e6


@dataclass
class Seen:
    """What the other process has seen.

    Attributes:
        stall_s: longest time that ``/healthz`` waited.
        search_s: longest time of a search of the ordinary client.
        searches: how often each status came; ``none`` for a connection that failed.
    """

    stall_s: float = 0.0
    search_s: float = 0.0
    searches: Counter[str] = field(default_factory=Counter)


class Watch:
    """The other process."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def stop(self) -> None:
        """Send no more requests."""
        self._pipe.send(None)

    def seen(self) -> Seen:
        """What was seen, when the requests under way have their answers."""
        seen = self._pipe.recv()
        assert isinstance(seen, Seen)
        return seen


@contextlib.contextmanager
def watched(target: Target, photograph: bytes) -> Iterator[Watch]:
    """Watch a service from another process; both of its clients have had an answer."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_watch, args=(there, target, photograph), daemon=True)
    process.start()
    try:
        here.recv()
        yield Watch(here)
    finally:
        process.kill()
        process.join()


def _watch(pipe: Connection, target: Target, photograph: bytes) -> None:
    seen = Seen()
    stopped = threading.Event()
    search = _search(photograph)
    _get_health(http.client.HTTPConnection(target.host, target.port, timeout=TIMEOUT_S))
    search(target)  # the first one after a start takes longer

    def probe() -> None:
        connection = http.client.HTTPConnection(target.host, target.port, timeout=TIMEOUT_S)
        while not stopped.wait(PROBE_PERIOD_S):
            began = time.monotonic()
            with contextlib.suppress(OSError, http.client.HTTPException):
                _get_health(connection)
            seen.stall_s = max(seen.stall_s, time.monotonic() - began)

    def client() -> None:
        while not stopped.wait(SEARCH_PERIOD_S):
            began = time.monotonic()
            try:
                status = str(search(target))
            except (OSError, http.client.HTTPException):
                status = "none"
            seen.searches[status] += 1
            seen.search_s = max(seen.search_s, time.monotonic() - began)

    threads = [threading.Thread(target=probe), threading.Thread(target=client)]
    for thread in threads:
        thread.start()
    pipe.send(None)
    pipe.recv()
    stopped.set()
    for thread in threads:
        thread.join()
    pipe.send(seen)


def _get_health(connection: http.client.HTTPConnection) -> None:
    connection.request("GET", "/healthz")
    connection.getresponse().read()


def _search(photograph: bytes) -> Callable[[Target], int]:
    """A search over a connection of its own; its status."""
    boundary = uuid.uuid4().hex
    field_ = f'--{boundary}\r\nContent-Disposition: form-data; name="collections"\r\n\r\n{COLLECTION}\r\n'
    file = f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n'
    body = (field_ + file).encode() + photograph + f"\r\n--{boundary}--\r\n".encode()
    kind = f"multipart/form-data; boundary={boundary}"

    def search(target: Target) -> int:
        connection = http.client.HTTPConnection(target.host, target.port, timeout=TIMEOUT_S)
        with contextlib.closing(connection):
            connection.request("POST", "/v1/search", body, {"Content-Type": kind, "X-API-Key": target.innocent})
            answer = connection.getresponse()
            answer.read()
            return answer.status

    return search


class ServiceProcesses:
    """Memory and processor time of a service.

    Args:
        pid: of ``facegraph serve``.
    """

    def __init__(self, pid: int) -> None:
        self._replicas = [each for each in _family(psutil.Process(pid)) if "facegraph:" in _line(each)]
        found = [each for each in self._replicas if "facegraph:Ingress" in _line(each)]
        if len(found) != 1:
            raise RuntimeError(f"one ingress replica was expected, found {len(found)}")
        self._ingress = found[0]

    def forget_peak(self) -> None:
        """Begin to look for the largest memory anew."""
        for each in self._memory_owners():
            with contextlib.suppress(OSError):
                Path(f"/proc/{each.pid}/clear_refs").write_text("5")

    def memory_mb(self) -> float:
        """Resident memory of the ingress replica and its child processes."""
        return sum(_status(each, "VmRSS") for each in self._memory_owners())

    def peak_mb(self) -> float:
        """The largest since :meth:`forget_peak`."""
        return sum(_status(each, "VmHWM") for each in self._memory_owners())

    def idle_after(self, most_s: float) -> float | None:
        """Seconds until no replica works any more, to about half a second; None: longer than ``most_s``."""
        began = time.monotonic()
        while (passed := time.monotonic() - began) < most_s:
            working = 0
            for _ in range(WINDOW):
                working += self._works()
                time.sleep(SAMPLE_S)
            if working < IDLE_SHARE * WINDOW:
                return passed
        return None

    def _memory_owners(self) -> list[psutil.Process]:
        return _family(self._ingress)

    def _works(self) -> bool:
        """Whether a thread of a replica, or of a child process of one, runs or waits for a processor."""
        for process in {each for one in self._replicas for each in _family(one)}:
            for thread in Path(f"/proc/{process.pid}/task").glob("*/stat"):
                with contextlib.suppress(OSError):
                    if thread.read_text().rpartition(") ")[2].startswith("R"):
                        return True
        return False


def _family(process: psutil.Process) -> list[psutil.Process]:
    with contextlib.suppress(psutil.Error):
        return [process, *process.children(recursive=True)]
    return []


def _line(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


def _status(process: psutil.Process, name: str) -> float:
    """A line of /proc/PID/status, in MB; 0 if the process has ended."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024 / MB
    return 0.0
