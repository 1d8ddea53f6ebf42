"""SIGKILL in the running service under HTTP load: the matcher's replica, the ingress, and all processes."""

from __future__ import annotations

import contextlib
import itertools
import random
import threading
import time
from pathlib import Path

import httpx
import psutil
import pytest

from scripts.long_runs import LongRun
from tests import photos
from tests.faults.killing import KILLS
from tests.gallery.stores import check_consistent, embedded
from tests.graph.service import RunningService, key_of_tenant

pytestmark = [
    pytest.mark.graph,
    pytest.mark.slow,
    pytest.mark.timeout(7200),
]
AT_LENGTH = pytest.mark.skipif(not KILLS, reason="takes minutes: make faults runs it")
"""The topology as shipped is always tested, with one kill of each part: about a minute."""

CLIENTS = 3
RECOVERY_S = 90.0


class Caller(threading.Thread):
    """Enrols, renames and deletes its own persons over HTTP and remembers what must be, None where nobody knows."""

    def __init__(self, service: RunningService, number: int, stopping: threading.Event) -> None:
        super().__init__(daemon=True)
        self._service = service
        self._stopping = stopping
        self._random = random.Random(f"{service.data_dir} {number}")
        self._number = number
        self.possible: dict[str, set[str | None]] = {}  # person -> names that it may have; None: is not there
        self.acknowledged = 0
        self.failures: set[int | str] = set()

    def run(self) -> None:
        """Work until told to stop."""
        photo = photos.astronaut()
        for turn in itertools.count():
            if self._stopping.is_set():
                return
            person = f"w{self._number}-{self._random.randrange(6)}"
            name = f"name {turn}"
            before = self.possible.get(person, {None})
            delete = None not in before and self._random.random() < 0.4
            self.possible[person] = before | ({None} if delete else {name})
            path = f"/v1/collections/staff/persons/{person}"
            try:
                with self._service.client() as api:
                    if delete:
                        answer = api.delete(path)
                    else:
                        answer = api.put(path, files={"image": ("a.jpg", photo)}, data={"name": name})
            except httpx.TransportError as error:
                self.failures.add(type(error).__name__)
                time.sleep(0.2)
                continue
            if answer.is_success:
                self.acknowledged += 1
                self.possible[person] = {None} if delete else {name}
            elif delete and answer.status_code == 404 and None in self.possible[person]:
                self.possible[person] = {None}
            else:
                self.failures.add(answer.status_code)
                time.sleep(0.2)


@pytest.mark.parametrize(
    ("topology", "own_port"),
    [
        pytest.param("single", True, id="as-shipped"),
        pytest.param("compact", False, id="proxy", marks=AT_LENGTH),
        pytest.param("compact", True, id="own-port", marks=AT_LENGTH),
        pytest.param("distributed", True, id="distributed", marks=AT_LENGTH),
    ],
)
def test_parts_of_the_service_are_killed(topology: str, own_port: bool, tmp_path: Path) -> None:
    environment = {"FACEGRAPH_TOPOLOGY": topology, "FACEGRAPH_INGRESS__OWN_PORT": str(own_port)}
    listens = "own port" if own_port else "Serve's proxy"
    run = LongRun(f"SIGKILL in the running service, topology {topology}, {listens}", recorded=True)
    service = RunningService(tmp_path / "data", **environment).start()
    callers: list[Caller] = []
    parts = {
        "single": ("Ingress", "all of it"),
        "compact": ("Matcher", "Ingress", "all of it"),
        "distributed": ("Detector", "Embedder", "Matcher", "Ingress", "all of it"),
    }[topology]
    away: dict[str, list[float]] = {part: [] for part in parts}
    try:
        with service.client() as api:
            api.post("/v1/collections", json={"name": "staff"}).raise_for_status()
        stopping = threading.Event()
        callers = [Caller(service, number, stopping) for number in range(CLIENTS)]
        for caller in callers:
            caller.start()
        rng = random.Random(run.seed)
        for round_ in range(KILLS or 1):
            for part, times in away.items():
                if part == "all of it" and round_ % 5:
                    continue
                key_of_tenant(service.data_dir, "visitor")  # as every command of the CLI: opens the records, and goes
                await_progress(callers)
                time.sleep(rng.uniform(0, 0.5))
                killed = time.monotonic()
                if part == "all of it":
                    kill_everything(service)
                    service.start()
                else:
                    for process in service.replicas(part):
                        process.kill()
                await_progress(callers)
                times.append(time.monotonic() - killed)
        stopping.set()
        for caller in callers:
            caller.join(60)
        found = everybody_found(service)
    finally:
        service.stop()
    with embedded(tmp_path / "data") as gallery:
        check_consistent(gallery)
        stored: dict[str, str | None] = {p.id: p.name for p in gallery.persons("0" * 32, limit=1000).items}
    assert found == stored.keys()
    for caller in callers:
        for person, possible in caller.possible.items():
            assert stored.pop(person, None) in possible
    assert not stored
    failures = set().union(*(caller.failures for caller in callers))
    assert {failure for failure in failures if isinstance(failure, int)} <= {429, 503}
    kills = {f"kills of {part}": len(times) for part, times in away.items()}
    run.add(lost=0, acknowledged=sum(caller.acknowledged for caller in callers), **kills)
    print(f"{sum(caller.acknowledged for caller in callers)} changes acknowledged; met {failures}; lost: 0")
    for part, times in away.items():
        print(f"{part}: {len(times)} kills, writing again after {max(times):.1f} s at most")


def everybody_found(service: RunningService) -> set[str]:
    """All who look like the astronaut, which all do."""
    with service.client() as api:
        fields = {"collections": "staff", "max_results": "50"}
        answer = api.post("/v1/search", files={"image": ("a.jpg", photos.astronaut())}, data=fields)
        answer.raise_for_status()
    return {match["person"]["id"] for match in answer.json()["faces"][0]["matches"]}


def await_progress(callers: list[Caller]) -> None:
    """Until every caller had an answer that acknowledges a change."""
    before = [caller.acknowledged for caller in callers]
    started = time.monotonic()
    while any(caller.acknowledged <= count for caller, count in zip(callers, before, strict=True)):
        assert time.monotonic() - started < RECOVERY_S, f"no change was acknowledged for {RECOVERY_S} s"
        time.sleep(0.05)


def kill_everything(service: RunningService) -> None:
    """SIGKILL of every process of the service, of Ray's too."""
    assert service._process is not None
    family = [*psutil.Process(service._process.pid).children(recursive=True), service._process]
    for process in family:
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            process.kill()
    service._process.wait()
    psutil.wait_procs(family[:-1], timeout=30)
    service._process = None
    service.log_path.rename(service.log_path.with_suffix(f".{time.monotonic_ns()}.log"))  # the next start reads its own
