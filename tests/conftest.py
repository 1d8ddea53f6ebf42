"""Fixtures of the whole suite."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import hypothesis
import pytest
from _pytest.terminal import TerminalReporter

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


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Say at the end which parts the run did not cover: the skipped tests by reason, and how many were deselected."""
    skipped: dict[str, list[str]] = defaultdict(list)
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        skipped[reason.removeprefix("Skipped: ")].append(report.nodeid.partition("::")[0])
    deselected = len(terminalreporter.stats.get("deselected", []))
    if deselected:
        skipped["deselected, by -m, -k or --deselect"] = [""] * deselected
    terminalreporter.section("not covered by this run")
    for reason, files in sorted(skipped.items(), key=lambda item: -len(item[1])):
        places = ", ".join(sorted(set(files) - {""}))
        terminalreporter.line(f"{len(files):5} tests: {reason}{f' ({places})' if places else ''}")
    if not skipped:
        terminalreporter.line("Every test ran.")


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
