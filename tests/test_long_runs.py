"""Long runs that are split: the counts add up, each run has another seed, and nothing is kept of the test suite's."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from scripts import long_runs
from scripts.long_runs import LongRun, table
from tests.photos import ROOT


def test_counts_of_all_runs_add_up_and_seeds_differ(tmp_path: Path) -> None:
    file = tmp_path / "data" / "long-runs.json"
    first = LongRun("kills", recorded=True, file=file)
    first.add(kills=1, lost=0)
    first.add(kills=1, lost=0)
    second, other = (LongRun(kind, recorded=True, file=file) for kind in ("kills", "inputs"))
    second.add(kills=3, lost=0)
    other.add(inputs=1_000_000)
    assert (first.seed, second.seed, other.seed) == (1, 2, 1)
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table(file).splitlines()[2:]]
    assert [row[:3] for row in rows] == [["inputs", "1,000,000 inputs", "1"], ["kills", "5 kills, 0 lost", "2"]]


def test_the_suite_repeats_itself_and_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_runs, "FILE", tmp_path / "long-runs.json")
    for _ in range(2):
        run = LongRun("kills", recorded=False)
        run.add(kills=1)
        assert run.seed == 1
    assert list(tmp_path.iterdir()) == []


def test_a_clone_stays_clean() -> None:
    done = subprocess.run(["git", "check-ignore", long_runs.FILE], cwd=ROOT, capture_output=True, check=False)
    if done.returncode == 128:
        pytest.skip("not a git repository")
    assert done.returncode == 0
