"""Clients that send what is dear to read, and leave: the replicas do not work on. Counted by processor time."""

from __future__ import annotations

import time

import pytest

from serve_app.processors import cpu_count
from tests.faults.leaving import LeavingClient, request_bytes
from tests.graph.service import RunningService
from tests.hostile_files import jpeg, many_scans, png, zip_of
from tests.waiting import await_true

pytestmark = pytest.mark.graph

MOST_S = 2.0
"""Seconds after which nobody works any more, with all processors at work until then."""

AT_ONCE = 4
WINDOW_S = 0.5
IDLE = 0.1  # of one processor


def seconds(service: RunningService) -> float:
    """The processor time of all replicas."""
    return sum(
        sum(process.cpu_times()[:2])
        for stage in ("Ingress", "Detector", "Liveness", "Embedder", "Matcher")
        for process in service.replicas(stage)
    )


def idle(service: RunningService) -> bool:
    before, began = seconds(service), time.monotonic()
    time.sleep(WINDOW_S)
    return seconds(service) - before < IDLE * (time.monotonic() - began)


def requests(service: RunningService) -> dict[str, bytes]:
    people = {f"p{number}/1.jpg": b"x" for number in range(5000)}

    def detect(image: bytes) -> bytes:
        files = {"image": ("a.jpg", image)}
        return request_bytes(service.url, "POST", "/v1/detect", service.key or "", files=files)

    return {
        "a JPEG of many scans that lacks its end": detect(many_scans(6320, 24)[:-2]),
        "a PNG with data behind its pixels": detect(png(hidden=500_000)),
        "a picture of nobody, looked at in four directions": detect(jpeg(6000)),
        "a zip of many folders": request_bytes(
            service.url,
            "POST",
            "/v1/collections/given-up/bulk",
            service.key or "",
            "application/zip",
            content=zip_of(people),
        ),
    }


def test_the_replicas_do_not_work_on(service: RunningService) -> None:
    with service.client() as api:
        api.post("/v1/collections", json={"name": "given-up"}).raise_for_status()
        tasks = api.get("/v1/tasks").json()["tasks"]
        worked = {}
        for case, request in requests(service).items():
            await_true(lambda: idle(service), "the replicas are idle")
            begin = seconds(service)
            clients = [LeavingClient(service.port, request) for _ in range(AT_ONCE)]
            await_true(lambda begin=begin: seconds(service) - begin > 0.2, "they have begun")  # type: ignore[misc]
            for client in clients:
                client.leave()
            left = seconds(service)
            await_true(lambda: idle(service), "they are idle again")
            worked[case] = round(seconds(service) - left, 2)
        print(worked)
        assert max(worked.values()) < MOST_S * cpu_count(), worked
        assert api.get("/v1/tasks").json()["tasks"] == tasks
