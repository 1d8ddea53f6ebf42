"""SIGKILL of the servers under a running gallery: errors meanwhile, recovery without a restart, no loss."""

from __future__ import annotations

import random
import signal
import time
from contextlib import closing
from pathlib import Path
from typing import Protocol

import pytest

from scripts.long_runs import LongRun
from scripts.servers.milvus import MilvusServer
from scripts.servers.postgres import PostgresServer
from serve_app.errors import StoreUnavailable
from serve_app.gallery import Gallery, open_gallery
from serve_app.settings import Settings, StorageSettings
from tests.faults.killing import KILLS, Victim
from tests.faults.ledger import Ledger
from tests.gallery.samples import CALIBRATIONS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]

RECOVERY_S = 60.0
OF_A_LIFE = 10
"""Kills between two checks of everything that is stored."""


class Killable(Protocol):
    """A server that can be killed and started again on what it has stored."""

    def kill(self) -> None: ...

    def restart(self) -> None: ...


@pytest.mark.postgres
def test_postgresql_is_killed(postgres: PostgresServer, tmp_path: Path) -> None:
    storage = StorageSettings(database_url=postgres.create_database())
    outages(Settings(data_dir=tmp_path, storage=storage), postgres, KILLS or 4, "PostgreSQL server")


@pytest.mark.milvus_server
def test_milvus_is_killed(milvus: MilvusServer, tmp_path: Path) -> None:
    storage = StorageSettings(milvus_uri=milvus.uri, timeout_s=5)
    outages(Settings(data_dir=tmp_path, storage=storage), milvus, KILLS or 1, "Milvus server")


def outages(settings: Settings, server: Killable, kills: int, name: str) -> None:
    """Kill and restart the server under load; now and then stop, and check everything."""
    run = LongRun(f"SIGKILL of the {name} under the gallery", recorded=KILLS > 0)
    rng, ledger = random.Random(run.seed), Ledger()
    recoveries = []
    with Victim(settings, ledger) as victim:
        for begun in range(0, kills, OF_A_LIFE):
            victim.start(run.seed * 1000 + begun)
            part = min(OF_A_LIFE, kills - begun)
            for _ in range(part):
                victim.await_progress(5, RECOVERY_S)
                time.sleep(rng.uniform(0, 0.5))
                server.kill()
                time.sleep(rng.uniform(0, 1))
                server.restart()
                recoveries.append(victim.await_progress(5, RECOVERY_S))
            victim.end(signal.SIGTERM)
            with closing(open_patiently(settings)) as gallery:
                ledger.check(gallery)
            run.add(kills=part, **ledger.counts())
    print(f"{kills} kills: {ledger}; writing again after {max(recoveries):.1f} s at most")
    assert ledger.refused + ledger.unknown > 0, "no kill met a write"


def open_patiently(settings: Settings) -> Gallery:
    """As Serve does with a replica that cannot start: a Milvus server loads its collections for a while."""
    deadline = time.monotonic() + RECOVERY_S
    while True:
        try:
            return open_gallery(settings, CALIBRATIONS)
        except StoreUnavailable:
            assert time.monotonic() < deadline, f"the stores do not answer {RECOVERY_S} s after the last kill"
            time.sleep(1)
