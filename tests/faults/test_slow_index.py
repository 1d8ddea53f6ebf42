"""A Milvus server that is slow, silent or behind a bad network: bounded waits, clear errors, no loss, no restart."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from scripts.servers.milvus import MilvusServer
from scripts.servers.slow_network import SlowNetwork
from serve_app.domain import DEFAULT_TENANT, NewCollection, PersonFields
from serve_app.errors import PersonNotFound, StoreUnavailable
from serve_app.settings import Settings, StorageSettings
from serve_app.stages.matcher import THREADS, MatcherStage
from tests.gallery.samples import face, query
from tests.gallery.stores import check_consistent

pytestmark = [pytest.mark.slow, pytest.mark.milvus_server]

TENANT = DEFAULT_TENANT
TIMEOUT_S = 4.0
LONG_TIMEOUT_S = 30.0  # that a busy machine does not reach
PATIENCE_S = 180  # of a busy machine
CROWD = 5 * THREADS
"""Callers at the same time. Their waits one after another would take five times the timeout."""


T = TypeVar("T")
Scenario = Callable[[SlowNetwork, Path], Coroutine[Any, Any, None]]


def scenario(steps: Scenario) -> Callable[[SlowNetwork, Path], None]:
    """A test of these steps."""

    @functools.wraps(steps)
    def run(network: SlowNetwork, tmp_path: Path) -> None:
        asyncio.run(steps(network, tmp_path))

    return run


@pytest.fixture
def network(milvus: MilvusServer) -> Iterator[SlowNetwork]:
    """What is between the matcher and the Milvus server."""
    made = SlowNetwork(milvus.port)
    yield made
    made.close()


@asynccontextmanager
async def matching(folder: Path, network: SlowNetwork, timeout_s: float) -> AsyncIterator[MatcherStage]:
    """A matcher with three persons, its house-keeping at work."""
    storage = StorageSettings(milvus_uri=f"http://127.0.0.1:{network.port}", timeout_s=timeout_s)
    settings = Settings(data_dir=folder, storage=storage)
    async with asyncio.timeout(PATIENCE_S):
        stage = await asyncio.to_thread(opened, settings)
    try:
        await stage.create_collection(TENANT, NewCollection("staff"))
        for seed in range(3):
            await patiently(lambda seed=seed: enrol(stage, seed))  # type: ignore[misc]
        yield stage
    finally:
        await stage.close()


def opened(settings: Settings) -> MatcherStage:
    """The server loads its collections for a while after a start."""
    while True:
        try:
            return MatcherStage(settings)
        except StoreUnavailable:
            time.sleep(0.5)


async def enrol(stage: MatcherStage, seed: int) -> None:
    await stage.put_person(TENANT, f"p{seed}", ["staff"], PersonFields(), [face(seed)])


async def found(stage: MatcherStage, seed: int) -> list[str]:
    (matches,) = (await stage.search(TENANT, query(seed))).matches
    return [match.person.id for match in matches]


async def outcome(call: Awaitable[Any]) -> str:
    """The outcome of the call; any error but the documented one fails the test."""
    try:
        await call
    except StoreUnavailable:
        return "refused"
    return "done"


async def patiently(act: Callable[[], Awaitable[T]]) -> T:
    """Asked again until it works, as clients do."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                return await act()
            except StoreUnavailable:
                await asyncio.sleep(0.2)


async def until_repaired(stage: MatcherStage) -> None:
    """The house-keeping, and nobody else, has put right what failed."""
    async with asyncio.timeout(PATIENCE_S):
        while stage._gallery._repairer._given_up or stage._gallery._repairer._doubtful:
            await asyncio.sleep(0.1)
    await asyncio.to_thread(check_consistent, stage._gallery)


@scenario
async def test_a_slow_server_is_waited_for(network: SlowNetwork, tmp_path: Path) -> None:
    async with matching(tmp_path, network, LONG_TIMEOUT_S) as stage:
        network.latency_s = 0.1
        began = time.monotonic()
        assert await found(stage, 1) == ["p1"]
        assert time.monotonic() - began >= 2 * network.latency_s, "the delay is one"
        await enrol(stage, 3)
        await stage.delete_person(TENANT, "p0")
        assert [await found(stage, seed) for seed in (3, 0)] == [["p3"], []]
        network.latency_s = 0
        await until_repaired(stage)


@scenario
async def test_a_silent_server_holds_nobody_else_up(network: SlowNetwork, tmp_path: Path) -> None:
    async with matching(tmp_path, network, TIMEOUT_S) as stage:
        with network.black_hole():
            began = time.monotonic()
            crowd = [asyncio.ensure_future(outcome(found(stage, n % 3))) for n in range(CROWD)]
            await asyncio.sleep(0)
            assert [c.name for c in (await stage.collections(TENANT)).items] == ["staff"]
            assert (await stage.person(TENANT, "p1")).id == "p1"
            assert not any(search.done() for search in crowd), "what needs no index does not wait for those that do"
            assert set(await asyncio.gather(*crowd)) == {"refused"}
            writes = [enrol(stage, 100 + n) for n in range(CROWD)] + [stage.delete_person(TENANT, "p0")]
            assert set(await asyncio.gather(*map(outcome, writes))) == {"refused"}
            for number in range(5):  # while the house-keeping tries to repair
                await stage.create_collection(TENANT, NewCollection(f"other{number}"))
            assert time.monotonic() - began < 8 * TIMEOUT_S, "only those wait in vain who came first"
            for seed in (100, 100 + CROWD - 1):
                with pytest.raises(PersonNotFound):
                    await stage.person(TENANT, f"p{seed}")
            with pytest.raises(StoreUnavailable):
                await stage.ready()
        await until_repaired(stage)
        for seed, right in ((0, ["p0"]), (1, ["p1"]), (2, ["p2"]), (100, [])):
            assert await patiently(lambda seed=seed: found(stage, seed)) == right  # type: ignore[misc]
        await patiently(lambda: enrol(stage, 3))
        assert await patiently(lambda: found(stage, 3)) == ["p3"]
        await patiently(stage.ready)


@scenario
async def test_broken_connections(network: SlowNetwork, tmp_path: Path) -> None:
    async with matching(tmp_path, network, LONG_TIMEOUT_S) as stage:
        network.latency_s = 0.02
        done: dict[int, str] = {}

        async def write(seed: int) -> None:
            done[seed] = await outcome(enrol(stage, seed))

        before = network.accepted
        for batch in range(3):
            writes = [asyncio.ensure_future(write(10 * batch + n)) for n in range(10, 16)]
            while not any(write.done() for write in writes):
                await asyncio.sleep(0.01)
            network.cut()
            await asyncio.gather(*writes)
        assert network.accepted > before
        network.latency_s = 0
        await until_repaired(stage)
        for seed, came in done.items():
            assert await found(stage, seed) == ([f"p{seed}"] if came == "done" else []), f"{seed} was {came}"
        await enrol(stage, 3)
        assert await found(stage, 3) == ["p3"]
