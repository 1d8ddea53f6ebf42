"""Fixtures of the whole suite."""

from __future__ import annotations

from collections.abc import Iterator

import hypothesis
import pytest

from scripts.servers import milvus as milvus_server_module
from scripts.servers import postgres as postgres_module
from tests.graph.service import RunningService
from tests.stopping import show_stacks_when_stopped

# How long an example takes depends on what else the machine does; pytest's own timeout ends what hangs.
hypothesis.settings.register_profile("facegraph", deadline=None)
hypothesis.settings.load_profile("facegraph")


def pytest_configure() -> None:
    """Output is not captured yet."""
    show_stacks_when_stopped()


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """One real running instance, as shipped, shared by all tests that do not stop or break it."""
    running = RunningService(tmp_path_factory.mktemp("service") / "data").start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator[postgres_module.PostgresServer]:
    """A PostgreSQL server."""
    binaries = postgres_module.find_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL server is installed (initdb was not found)")
    server = postgres_module.PostgresServer(binaries)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def milvus() -> Iterator[milvus_server_module.MilvusServer]:
    """A Milvus server."""
    reason = milvus_server_module.missing()
    if reason is not None:
        pytest.skip(reason)
    server = milvus_server_module.MilvusServer()
    yield server
    server.stop()
