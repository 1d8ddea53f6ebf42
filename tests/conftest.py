"""Fixtures of the whole suite."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.graph.service import RunningService


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """One real running instance, as shipped, shared by all tests that do not stop or break it."""
    running = RunningService(tmp_path_factory.mktemp("service") / "data").start()
    yield running
    running.stop()
