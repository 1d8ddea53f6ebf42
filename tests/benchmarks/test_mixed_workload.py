"""Mixed traffic in this process: answers are as expected, nothing is lost, memory does not grow."""

from __future__ import annotations

from pathlib import Path

import httpx
import psutil
import pytest

from benchmarks.load import mixed_workload
from tests import photos
from tests.graph.inprocess import InProcessService

pytestmark = pytest.mark.slow

REQUESTS = 200
MORE_MB = 20.0
"""What 200 requests may add: a leak of one picture of 250 kB in two requests would, each time."""


def test_a_little_soak(tmp_path: Path) -> None:
    service = InProcessService(tmp_path / "data").start()
    group = photos.group([photos.astronaut(), photos.grace_hopper()])
    pictures = [photos.astronaut(), photos.grace_hopper(), photos.variant(photos.astronaut()), group]
    memory = psutil.Process().memory_info
    try:
        headers = {"X-API-Key": service.key or ""}
        with httpx.Client(base_url=service.url, headers=headers, timeout=60, trust_env=False) as api:
            api.post("/v1/collections", json={"name": mixed_workload.COLLECTION}).raise_for_status()
            tally = mixed_workload.Tally()
            clients = [mixed_workload.Client(api, number, pictures, tally) for number in range(3)]
            mixed_workload.run(clients, tally, REQUESTS // 2)
            added = []
            for turn in (1, 2):  # the first requests of each kind also load what all later ones use
                before = memory().rss
                mixed_workload.run(clients, tally, REQUESTS // 2 + turn * REQUESTS)
                added.append((memory().rss - before) / 1e6)
            more = min(added)
            assert mixed_workload.lost(api, clients) == 0
    finally:
        service.stop()
    print(f"{tally.requests} requests, {more:+.1f} MB")
    assert tally.unexpected == []
    assert more < MORE_MB
