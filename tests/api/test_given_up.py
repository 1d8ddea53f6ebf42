"""Requests that were given up: a clear answer in time, and threads that end at their next check."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from serve_app.api.api_context import UPLOADS, ApiContext
from serve_app.settings import IngressSettings, Limits
from tests.api.conftest import World, code
from tests.hostile_files import zip_of_one

MOST_S = 2.0
LINES = 8_000_000

UPLOADED: dict[str, Callable[[], bytes]] = {
    "application/x-ndjson": lambda: b"\n" * (4 * LINES),
    "application/zip": lambda: zip_of_one("manifest.jsonl", b"0\n" * LINES, 1),
}


def await_idle(context: ApiContext) -> None:
    """Every thread that reads uploads has nothing to do."""
    gate = threading.Barrier(UPLOADS)
    for done in [context.upload_pool.submit(gate.wait, 120) for _ in range(UPLOADS)]:
        done.result(120)


@pytest.mark.parametrize("kind", UPLOADED)
def test_an_upload_is_read_no_further(kind: str) -> None:
    limits = Limits(max_bulk_pictures=LINES)  # so that it would be read to its end, for many seconds
    world = World(limits=limits, ingress=IngressSettings(request_timeout_s=1.0))
    try:
        world.call("POST", "/v1/collections", json={"name": "staff"}).raise_for_status()
        headers = {**world.enroll, "Content-Type": kind}
        answer = world.call("POST", "/v1/collections/staff/bulk", headers, content=UPLOADED[kind]())
        assert code(answer) == (503, "request_timeout")
        began = time.process_time()
        await_idle(world.context)
        assert time.process_time() - began < MOST_S
        assert world.call("GET", "/v1/tasks").json()["tasks"] == []
    finally:
        world.leave()
