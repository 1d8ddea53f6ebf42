"""The report of a benchmark: machine, versions, settings and figures as JSON, beside its plots."""

from __future__ import annotations

import datetime as dt
import json
import os
from pathlib import Path
from typing import Any

from benchmarks.common.machine import ROOT, machine, revision, versions

REFERENCE = ROOT / "benchmarks" / "results"
"""Committed runs, which the documentation quotes."""
LOCAL = REFERENCE / "local"
"""Other runs; ignored by git."""


class Report:
    """One run of one benchmark.

    Args:
        name: of the benchmark; also the files' name.
        settings: what it was run with.
        reference: write to the committed results instead of the local ones.
    """

    def __init__(self, name: str, settings: dict[str, Any], *, reference: bool) -> None:
        self.name = name
        self.folder = REFERENCE if reference else LOCAL
        self._content: dict[str, Any] = {
            "benchmark": name,
            "started": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            "revision": revision(),
            "machine": machine(),
            "load_average_before": [round(value, 2) for value in os.getloadavg()],
            "versions": versions(),
            "settings": settings,
        }

    def write(self, figures: dict[str, Any]) -> Path:
        """Write the JSON file, replacing that of an earlier run; its path."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{self.name}.json"
        content = {**self._content, "load_average_after": [round(value, 2) for value in os.getloadavg()], **figures}
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        return path

    def plot_path(self, suffix: str = "") -> Path:
        """The path of a plot's SVG file."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder / f"{self.name}{suffix}.svg"
