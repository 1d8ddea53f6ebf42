"""The comparison that is made in two minutes."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.common.dataset import read_people, split
from benchmarks.load import throughput


def test_it_needs_no_data_set(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[argparse.Namespace] = []

    def run(options: argparse.Namespace) -> Path:
        asked.append(options)
        chosen = split(read_people(options.images), options.people, options.seed)
        assert list(chosen.enrolled) == list(chosen.probes) == ["eileen"]
        return Path("quick.json")

    monkeypatch.setattr("signal.signal", lambda *_: None)  # this process keeps its own handlers
    monkeypatch.setattr(throughput, "run", run)
    assert main(["quick"]) == 0
    assert (asked[0].name, asked[0].contenders, asked[0].rates) == ("quick", ["shipped", "fastapi"], [])
