"""Fixture: one instance of the service for the tests that only send HTTP requests to it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.graph.inprocess import VARIABLE, InProcessService
from tests.graph.service import RunningService


@pytest.fixture(scope="module")
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningService | InProcessService]:
    """The real service, or where the environment asks for it one without Ray."""
    if not os.environ.get(VARIABLE):
        yield request.getfixturevalue("service")
        return
    local = InProcessService(tmp_path_factory.mktemp("in-process") / "data").start()
    yield local
    local.stop()
