"""Attack: what a service does beside each hostile input of :mod:`scripts.attack`, and whether it keeps the bounds.

A service as shipped is started on a loopback address with a data folder of its own. Beside each input a health check
and an ordinary client with a key of its own run in another process. A service that still works for an attacker who has
left is started anew, so that no input is blamed for an earlier one.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from matplotlib import get_data_path

from benchmarks.common.machine import ROOT, machine, overrides, revision
from benchmarks.common.report import REFERENCE, Report
from benchmarks.common.service import ServiceProcess
from scripts.attack.attacker import raise_open_files
from scripts.attack.battery import Bounds, Row, kinds, observe, shown, table
from scripts.attack.inputs import Input
from scripts.attack.observation import ServiceProcesses
from scripts.attack.target import prepare

PAGE = ROOT / "docs" / "security.md"
EARLIER = REFERENCE / "attack-before.json"
"""The same inputs before the faults that they show were mended."""

SETTLING_S = 30.0
"""Most seconds that a service may work after its start."""

MARK = "<!-- the table of make attack -->"


class Beyond(SystemExit):
    """The service did not keep the bounds; the message names where."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The benchmark's own options."""
    parser.add_argument("--kinds", nargs="+", choices=list(kinds(b"")), help="only these inputs [default: all]")
    parser.add_argument("--words", default="", help="only inputs with these words in their names")


def run(options: argparse.Namespace) -> Path:
    """Attack, print and write; the JSON file's path.

    Raises:
        Beyond: the service did not keep the bounds.
    """
    raise_open_files()
    photograph = (Path(get_data_path()) / "sample_data" / "grace_hopper.jpg").read_bytes()
    bounds = Bounds()
    report = Report("attack", {"bounds": asdict(bounds), "environment": overrides()}, reference=options.reference)
    chosen = [
        one
        for kind, inputs in kinds(photograph).items()
        for one in inputs
        if kind in (options.kinds or [kind]) and options.words in one.name
    ]
    facts = machine()
    print(f"{facts['cpu']}, {facts['cores']} cores, {facts['distribution']}, commit {revision()}", flush=True)
    rows = []
    with tempfile.TemporaryDirectory(prefix="facegraph-attack-") as folder:
        service = _Service(Path(folder), photograph, bounds)
        try:
            for one in (None, *chosen):
                rows.append(service.attack(one))
                print(table([rows[-1].as_json()]).splitlines()[-1], flush=True)
                path = report.write({"inputs": [row.as_json() for row in rows]})
        finally:
            service.stop()
    if options.reference:
        PAGE.write_text(with_table(PAGE.read_text("utf-8"), json.loads(path.read_text("utf-8"))), encoding="utf-8")
    if beyond := [f"{row.name}: {text}" for row in rows for text in row.beyond.values()]:
        raise Beyond("\n".join(["Beyond the bounds:", *beyond, f"Written to {path}"]))
    return path


def with_table(page: str, run: Mapping[str, Any]) -> str:
    """The page with the table of a run between its two marks."""
    start, _, end = page.split(MARK)
    before = json.loads(EARLIER.read_text("utf-8"))
    earlier = before["inputs"] if before["revision"] != run["revision"] else []
    facts = run["machine"]
    described = f"Commit {run['revision']}, {facts['cpu']}, {facts['cores']} cores, {facts['distribution']}, "
    described += f"load average {run['load_average_before'][0]} at the start. {run.get('note', '')}".rstrip()
    if earlier:
        described += f" The last column: what was beyond the bounds at commit {before['revision']}."
    return f"{start}{MARK}\n{described}\n\n{table(run['inputs'], earlier)}\n{MARK}{end}"


class _Service:
    """The service under attack, started when it is needed."""

    def __init__(self, folder: Path, photograph: bytes, bounds: Bounds) -> None:
        self._folder = folder
        self._photograph = photograph
        self._bounds = bounds
        self._process: ServiceProcess | None = None

    def attack(self, given: Input | None) -> Row:
        """Send an input; None: observe without any."""
        if self._process is None:
            self._process = ServiceProcess(self._folder / "data")
            self._process.start()
            ServiceProcesses(self._process.processes[0].pid).idle_after(SETTLING_S)
        target = prepare(self._process.url, self._process.key)
        processes = ServiceProcesses(self._process.processes[0].pid)
        sent = [(given, given.run)] if given else []
        try:
            row = observe(target, processes, self._photograph, sent, self._bounds)
        except (EOFError, RuntimeError) as error:
            raise RuntimeError(
                f"{given and given.name}: the service is gone:\n{self._process.output()[-3000:]}"
            ) from error
        if row.idle_s is None or shown(row.searches).endswith("none"):
            self.stop()
        return row

    def stop(self) -> None:
        """Stop it."""
        if self._process is not None:
            self._process.stop()
            self._process = None
