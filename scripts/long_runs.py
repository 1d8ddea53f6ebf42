"""Counts of tests that run for hours, kept in a file, so that such a run can be split into many.

``make faults``, ``make fuzz`` and ``make soak`` add to it; each run has another seed. ``python -m scripts.long_runs``
prints what was counted so far, as a table of Markdown.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "data" / "long-runs.json"
"""Removed by hand, to begin anew."""


class LongRun:
    """One kind of test.

    Args:
        kind: what is counted, for instance "SIGKILL of the process, PostgreSQL".
        recorded: False for the few of the test suite: their seed is always the same, and nothing is kept.

    Attributes:
        seed: from 1, another one in each recorded run.
    """

    def __init__(self, kind: str, *, recorded: bool, file: Path | None = None) -> None:
        self._kind = kind
        self._file = file or FILE if recorded else None
        self.seed = 1
        if self._file is not None:
            self.seed = int(self._change(lambda entry: entry.update(runs=entry["runs"] + 1))["runs"])

    def add(self, **counts: int) -> None:
        """Count what was done and checked; at once, since the run may be stopped at any moment."""

        def change(entry: dict[str, Any]) -> None:
            for name, number in counts.items():
                entry["counts"][name] = entry["counts"].get(name, 0) + number

        if self._file is not None:
            self._change(change)

    def _change(self, change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        assert self._file is not None
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("a+") as opened:
            fcntl.flock(opened, fcntl.LOCK_EX)  # workers count, too
            opened.seek(0)
            kept = json.loads(opened.read() or "{}")
            entry: dict[str, Any] = kept.setdefault(self._kind, {"runs": 0, "counts": {}, "commits": []})
            change(entry)
            entry["last"] = dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M")
            if (commit := _commit()) not in entry["commits"]:
                entry["commits"].append(commit)
            opened.seek(0)
            opened.truncate()
            opened.write(json.dumps(kept, indent=2) + "\n")
        return entry


def table(file: Path = FILE) -> str:
    """What was counted so far."""
    kept = json.loads(file.read_text()) if file.exists() else {}
    lines = ["| what | counted | runs | commits | until |", "| --- | --- | --- | --- | --- |"]
    for kind, entry in sorted(kept.items()):
        counted = ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in entry["counts"].items())
        lines.append(f"| {kind} | {counted} | {entry['runs']} | {', '.join(entry['commits'])} | {entry['last']} |")
    return "\n".join(lines)


_known: list[str] = []


def _commit() -> str:
    """The short name of the commit, "unknown" outside of a repository."""
    if not _known:
        command = ["git", "rev-parse", "--short", "HEAD"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        _known.append(done.stdout.strip() or "unknown")
    return _known[0]


if __name__ == "__main__":
    print(table())
