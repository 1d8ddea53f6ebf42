"""Single system calls on the data folder fail under load: short writes, no space, input/output errors, failed fsync.

A change that meets one is made or refused, wholly; nothing acknowledged is lost; the gallery works on without a
restart.
"""

from __future__ import annotations

import random
import signal
from contextlib import closing
from pathlib import Path

import pytest

from scripts.long_runs import LongRun
from serve_app.gallery import open_gallery
from serve_app.settings import Settings
from tests.faults.faulty_disk import Fault, FaultyDisk
from tests.faults.killing import KILLS, Victim
from tests.faults.ledger import Ledger
from tests.gallery.samples import CALIBRATIONS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]

OF_A_LIFE = 10
"""Faults between two checks of everything that is stored."""
MET_WITHIN_S = 20.0
RECOVERY_S = 60.0


def test_system_calls_fail(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    settings = Settings(data_dir=data)
    run = LongRun("system calls on the data folder failed, SQLite, milvus-lite", recorded=KILLS > 0)
    rng, ledger = random.Random(run.seed), Ledger()
    disk = FaultyDisk(data, tmp_path)
    missed = []
    with Victim(settings, ledger, **disk.environment) as victim:
        for life in range(-(-(KILLS or 1) // OF_A_LIFE)):
            victim.start(run.seed * 1000 + life)
            begun = disk.failed
            kinds = rng.sample(list(Fault), len(Fault)) + rng.choices(list(Fault), k=OF_A_LIFE - len(Fault))
            for kind in kinds:
                wanted = rng.choice((1, 1, 1, 3))
                before = disk.failed
                disk.arm(kind, rng.randrange(8), wanted)
                if not disk.await_failures(before + 1, MET_WITHIN_S):
                    missed.append(kind)
                victim.await_progress(3, RECOVERY_S)
                disk.disarm()
            victim.end(signal.SIGTERM)
            with closing(open_gallery(settings, CALIBRATIONS)) as gallery:
                ledger.check(gallery)
            run.add(failed_calls=disk.failed - begun, **ledger.counts())
    print(f"{disk.failed} calls failed, {ledger}; not met: {missed}")
    assert disk.failed > 6
