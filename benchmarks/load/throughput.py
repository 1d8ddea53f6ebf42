"""Throughput under load: the service against a tight loop in one process and against other servers, side by side.

All contenders search the same images in copies of the same data with the same model files, on the same machine in one
run. They take turns, round by round, and each is started for its turn and stopped after it: an idle service takes
processor time from the others (Ray's own processes a tenth of two cores). The floor is the pipeline in a tight loop in
one process on all cores, without a server and without a client: a server can only be faster by computing less. The
other servers are measured twice: with onnxruntime's default sessions, which is what a user writes, and (``-tuned``)
with the service's own.

Then the service as shipped gets an open load: requests at a constant rate, up to twice its capacity.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.dataset import DataMissing, add_images_option, images_in, read_people, split, thin
from benchmarks.common.enrolment import enrolled_folder, probe_pictures
from benchmarks.common.machine import overrides
from benchmarks.common.models import shipped_settings
from benchmarks.common.report import Report
from benchmarks.common.statistics import quartiles
from benchmarks.load import floor, plots
from benchmarks.load.contenders import CONTENDERS, SHIPPED, Contender, contenders
from benchmarks.load.driver import LoadDriver

FILLING_S = 3.0
TARGETS = {"shipped / floor at concurrency 16": ">= 0.80", "distributed / floor at concurrency 16": ">= 0.65"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The benchmark's own options."""
    add_images_option(parser)
    parser.add_argument("--mix", type=Path, help="search the images of this folder as they are, not 640x480 portraits")
    parser.add_argument("--people", type=int, default=500, help="size of the gallery")
    parser.add_argument("--pictures", type=int, default=40, help="different images")
    parser.add_argument(
        "--contenders", "--sides", nargs="*", choices=CONTENDERS, default=CONTENDERS, help="compared with the floor"
    )
    parser.add_argument("--clients", type=int, nargs="*", default=[1, 16, 64], help="concurrencies")
    parser.add_argument("--seconds", type=float, default=3.5, help="seconds of one measurement")
    parser.add_argument("--rounds", type=int, default=2, help="measurements of each server at each concurrency")
    parser.add_argument(
        "--rates", type=float, nargs="*", default=[0.25, 0.5, 0.75, 0.9, 1.2, 2.0], help="open loop, shares of capacity"
    )
    parser.add_argument("--open-seconds", type=float, default=8.0, help="seconds of one step of the open loop")
    parser.add_argument("--seed", type=int, default=1, help="of the draw of enrolled people")


def run(options: argparse.Namespace) -> Path:
    """Measure, print and write; the JSON file's path."""
    chosen = split(read_people(options.images), options.people, options.seed)
    pictures = mix_of(options.mix, options.pictures) if options.mix else probe_pictures(chosen, options.pictures)
    report = Report(
        options.name,
        {
            "people": options.people,
            "pictures": len(pictures),
            "mean_kb": round(float(np.mean([len(picture) for picture in pictures])) / 1e3, 1),
            "mix": str(options.mix) if options.mix else "640x480 JPEG, one face",
            "seconds": options.seconds,
            "rounds": options.rounds,
            "topology": shipped_settings().topology.value,
            "environment": overrides(),
        },
        reference=options.reference,
    )
    with tempfile.TemporaryDirectory(prefix="facegraph-benchmark-") as name:
        folder = Path(name)
        enrolled_folder(folder / "data", chosen)
        compared = contenders(folder / "data", folder, options.contenders)
        load = LoadDriver(folder, pictures)
        with contextlib.closing(floor.Floor(folder / "data", pictures)) as loop:
            figures = summarise(closed_loop(compared, loop, load, options))
            opened: list[dict[str, Any]] = []
            shipped = next((one for one in compared if one.name == SHIPPED), None)
            if shipped is not None and options.rates:
                capacity = max(step["per_second"] for step in figures["closed"][SHIPPED].values())
                with up(shipped, load):
                    opened = open_loop(shipped, load, [1 / 50, *options.rates], capacity, options.open_seconds)
                figures["open"] = overload(opened, capacity)
    plots.throughput(report.plot_path(), figures["closed"], figures["floor_per_second"]["median"], opened)
    show(figures)
    return report.write(figures)


def mix_of(folder: Path, most: int) -> list[bytes]:
    """At most ``most`` images of a folder and its sub-folders, as they are.

    Raises:
        DataMissing: it has none.
    """
    paths = thin(images_in(folder, "**/*"), most)
    if not paths:
        raise DataMissing(f"No images in {folder}.")
    return [path.read_bytes() for path in paths]


@contextlib.contextmanager
def up(contender: Contender, load: LoadDriver) -> Iterator[None]:
    """Start a contender and warm it up; stop it at the end."""
    begun = time.monotonic()
    try:
        contender.start()
        print(f"{contender.name} is up after {time.monotonic() - begun:.0f} s", flush=True)
        load.apply(contender, 2.0, clients=8)  # caches, connections, threads
        yield
    finally:
        contender.stop()


def closed_loop(
    compared: Sequence[Contender], loop: floor.Floor, load: LoadDriver, options: argparse.Namespace
) -> dict[str, Any]:
    """Contender -> concurrency -> one step for each round; the floor's measurements between them; mean batches."""
    steps: dict[str, dict[int, list[dict[str, Any]]]] = {
        contender.name: {clients: [] for clients in options.clients} for contender in compared
    }
    floors, batches = [], {}
    for number in range(options.rounds):
        for contender in compared:
            floors.append(loop.best(options.seconds / 2))
            print(f"{floor.NAME}: {floors[-1]['per_second']}/s", flush=True)
            with up(contender, load):
                for clients in options.clients:
                    step = load.apply(contender, options.seconds, clients=clients)
                    steps[contender.name][clients].append(step)
                    print(f"  c={clients:<3} {step['per_second']:7.1f}/s  p50 {step['p50']} ms", flush=True)
                if number == options.rounds - 1:
                    faces, calls = contender.batches()
                    batches[contender.name] = round(faces / calls, 2) if calls else None
    return {"steps": steps, "floors": floors, "batches": batches}


def open_loop(
    contender: Contender, load: LoadDriver, shares: Sequence[float], capacity: float, seconds: float
) -> list[dict[str, Any]]:
    """One step for each rate; the lowest one measures the times without load and lasts longer.

    The first seconds of a step do not count: an overload first fills the queue that is meant for bursts.
    """
    opened = []
    for share in shares:
        rate = max(1.0, share * capacity)
        step = load.apply(contender, seconds * (2 if rate < 5 else 1), rate=round(rate, 2), warm_up=FILLING_S)
        opened.append({"share_of_capacity": share, **step})
        print(
            f"open loop {rate:6.1f}/s: {step['per_second']}/s, p99 {step['p99']}, 429 {step['share_429']}", flush=True
        )
    return opened


def summarise(measured: dict[str, Any]) -> dict[str, Any]:
    """Medians over the rounds, and shares of the floor."""
    closed: dict[str, dict[str, Any]] = {}
    for name, by_clients in measured["steps"].items():
        closed[name] = {}
        for clients, steps in by_clients.items():
            numbers = [key for key in steps[0] if isinstance(steps[0][key], int | float)]
            medians = {key: round(float(np.median([step.get(key, np.nan) for step in steps])), 3) for key in numbers}
            closed[name][str(clients)] = {**medians, "per_second_of_rounds": [step["per_second"] for step in steps]}
    floors = quartiles([one["per_second"] for one in measured["floors"]])
    shares = {
        name: {clients: round(step["per_second"] / floors["median"], 3) for clients, step in by_clients.items()}
        for name, by_clients in closed.items()
    }
    return {
        "targets": TARGETS,
        "floor": measured["floors"],
        "floor_per_second": floors,
        "share_of_floor": shares,
        "closed": closed,
        "mean_batch": measured["batches"],
    }


def overload(steps: list[dict[str, Any]], capacity: float) -> dict[str, Any]:
    """The open loop's steps, and the ratio of the p99 of accepted requests at the highest rate to that without load."""
    return {
        "capacity_per_second": capacity,
        "target": "at twice the capacity accepted requests keep p99 <= 3 times the unloaded p99, no failures",
        "p99_ratio_at_the_highest_rate": round(steps[-1]["p99"] / steps[0]["p99"], 2),
        "steps": steps,
    }


def show(figures: dict[str, Any]) -> None:
    """Print rates and shares of the floor as a table."""
    print(f"{floor.NAME}: {figures['floor_per_second']['median']:.1f}/s")
    for name, by_clients in figures["closed"].items():
        cells = [
            f"c={c}: {step['per_second']:.1f} ({figures['share_of_floor'][name][c]:.2f})"
            for c, step in by_clients.items()
        ]
        print(f"{name:>28}  {'  '.join(cells)}")
