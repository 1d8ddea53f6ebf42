"""The package's log in a replica."""

from __future__ import annotations

import logging
import logging.handlers
from collections.abc import Iterator

import pytest

from serve_app.observability.logs import join_serve_log


@pytest.fixture
def handler() -> Iterator[logging.handlers.MemoryHandler]:
    """Of Serve's log; what it had and what our log had is put back."""
    ours, serves = logging.getLogger("serve_app"), logging.getLogger("ray.serve")
    before = ours.parent, ours.level, serves.handlers
    collecting = logging.handlers.MemoryHandler(100)
    serves.handlers = [collecting]
    yield collecting
    ours.parent, ours.level, serves.handlers = before


def test_what_the_gallery_logs_is_in_serves_log_once(handler: logging.handlers.MemoryHandler) -> None:
    join_serve_log()
    join_serve_log()
    logging.getLogger("serve_app.gallery.writes.writer").warning("a write was given up")
    assert [record.getMessage() for record in handler.buffer] == ["a write was given up"]
