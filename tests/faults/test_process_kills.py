"""SIGKILL of the process that owns the gallery, at random moments, with every kind of store."""

from __future__ import annotations

import random
import signal
import time
from contextlib import closing
from pathlib import Path

import pytest

from scripts.long_runs import LongRun
from serve_app.gallery import open_gallery
from serve_app.settings import Settings, StorageSettings
from tests.faults.killing import KILLS, Victim
from tests.faults.ledger import Ledger
from tests.gallery.conftest import BACKENDS
from tests.gallery.samples import CALIBRATIONS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]

STORES = {
    "embedded": "SQLite, milvus-lite",
    "postgres": "PostgreSQL, milvus-lite",
    "milvus": "SQLite, Milvus server",
}


@pytest.fixture(params=BACKENDS)
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Of new stores of each kind."""
    storage = StorageSettings()
    if request.param == "postgres":
        storage = StorageSettings(database_url=request.getfixturevalue("postgres").create_database())
    elif request.param == "milvus":
        storage = StorageSettings(milvus_uri=request.getfixturevalue("milvus").uri)
    return Settings(data_dir=tmp_path, storage=storage)


def test_the_process_is_killed(settings: Settings, request: pytest.FixtureRequest) -> None:
    backend = request.node.callspec.params["settings"]
    run = LongRun(f"SIGKILL of the process with the gallery, {STORES[backend]}", recorded=KILLS > 0)
    rng, ledger = random.Random(run.seed), Ledger()
    with Victim(settings, ledger) as victim:
        for life in range(KILLS or 6):
            victim.start(run.seed * 10_000 + life)
            time.sleep(rng.uniform(0.01, 1.2))
            victim.end(signal.SIGKILL)
            with closing(open_gallery(settings, CALIBRATIONS)) as gallery:
                ledger.check(gallery)
            run.add(kills=1, **ledger.counts())
    print(f"{KILLS or 6} kills: {ledger}")
    assert ledger.acknowledged > 6
