"""Throughput under load: the service against a tight loop in one process and against other servers, side by side.

All sides search the same pictures in copies of the same data with the same model files, on the same machine in one run.
They take turns, round by round, and each is started for its turn and stopped after it: a service that is idle takes
processor time from the others (Ray's own processes a tenth of two cores). The floor is the pipeline in a tight loop in
one process on all cores, without a server and without a client: a server can only be faster by computing less. The
other servers come twice: with onnxruntime's sessions as it opens them, which is what a user writes, and (``-tuned``)
with the service's own.

Then the service as shipped gets an open load: requests at a constant rate, up to twice what it can do.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import plots
from benchmarks.contenders import Side, all_sides
from benchmarks.dataset import DEFAULT_IMAGES, DataMissing, read_people, split
from benchmarks.identification import COLLECTION, enrol
from benchmarks.inprocess import PlainPipeline, Threads, open_copy, shipped_settings
from benchmarks.latency import multipart, probe_pictures
from benchmarks.launcher import running_service
from benchmarks.load import Plan, write_plan
from benchmarks.report import ROOT, Report, overrides
from benchmarks.statistics import quartiles
from serve_app.client import Client
from serve_app.processors import cpu_count

SIDES = (
    "fastapi",
    "litserve",
    "bentoml",
    "fastapi-tuned",
    "litserve-tuned",
    "bentoml-tuned",
    "default",
    "distributed",
    "shipped",
    "behind-proxy",
)
FLOOR = "floor: tight loop in one process"
SHIPPED, DISTRIBUTED = "facegraph, as shipped", "facegraph, distributed"
COMPARED_AT = 16
FILLING_S = 3.0
TARGETS = {"shipped / floor at concurrency 16": ">= 0.80", "distributed / floor at concurrency 16": ">= 0.65"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The benchmark's own options."""
    parser.add_argument("--images", type=Path, default=DEFAULT_IMAGES, help="a sub-folder of pictures for each person")
    parser.add_argument("--mix", type=Path, help="search these pictures as they are (a folder), not 640x480 portraits")
    parser.add_argument("--people", type=int, default=500, help="size of the gallery")
    parser.add_argument("--pictures", type=int, default=40, help="different pictures")
    parser.add_argument("--sides", nargs="*", choices=SIDES, default=SIDES, help="what is compared with the floor")
    parser.add_argument("--clients", type=int, nargs="*", default=[1, 16, 64], help="concurrencies")
    parser.add_argument("--seconds", type=float, default=3.5, help="of one measurement")
    parser.add_argument("--rounds", type=int, default=2, help="measurements of each side at each concurrency")
    parser.add_argument(
        "--rates", type=float, nargs="*", default=[0.25, 0.5, 0.75, 0.9, 1.2, 2.0], help="open loop, shares of capacity"
    )
    parser.add_argument("--open-seconds", type=float, default=8.0, help="of one step of the open loop")
    parser.add_argument("--seed", type=int, default=1, help="draws who is enrolled")


def run(options: argparse.Namespace) -> Path:
    """Measure, print, write; the JSON file's path."""
    chosen = split(read_people(options.images), options.people, options.seed)
    pictures = mix_of(options.mix, options.pictures) if options.mix else probe_pictures(chosen, options.pictures)
    settings = shipped_settings()
    report = Report(
        "throughput",
        {
            "people": options.people,
            "pictures": len(pictures),
            "mean_kb": round(float(np.mean([len(picture) for picture in pictures])) / 1e3, 1),
            "mix": str(options.mix) if options.mix else "640x480 JPEG, one face",
            "seconds": options.seconds,
            "rounds": options.rounds,
            "topology": settings.topology.value,
            "environment": overrides(),
        },
        reference=options.reference,
    )
    with tempfile.TemporaryDirectory(prefix="facegraph-benchmark-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        print("Starting a service, enrolling ...", flush=True)
        with running_service(folder / "data") as service, Client(service.url, service.key, patience_s=120) as client:
            enrol(client, chosen, "largest", 4)
        sides = all_sides(folder / "data", folder, options.sides)
        load = Load(folder, pictures)
        floor = Floor(folder / "data", pictures)
        stack.callback(floor.close)
        closed = closed_loop(sides, floor, load, options)
        figures = summarise(closed)
        opened: list[dict[str, Any]] = []
        shipped = next((side for side in sides if side.name == SHIPPED), None)
        if shipped is not None and options.rates:
            capacity = max(step["per_second"] for step in figures["closed"][SHIPPED].values())
            with up(shipped, load):
                opened = open_loop(shipped, load, [1 / 50, *options.rates], capacity, options.open_seconds)
            figures["open"] = overload(opened, capacity)
    plots.throughput(report.plot_path(), figures["closed"], figures["floor_per_second"]["median"], opened)
    show(figures)
    return report.write(figures)


def mix_of(folder: Path, most: int) -> list[bytes]:
    """Pictures of a folder and those below it, as they are.

    Raises:
        DataMissing: there are none.
    """
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in {".jpg", ".jpeg", ".png", ".webp"})
    if not paths:
        raise DataMissing(f"No pictures in {folder}.")
    step = max(1, len(paths) // most)
    return [path.read_bytes() for path in paths[::step][:most]]


class Floor:
    """The pipeline without a server: one thread a core with onnxruntime on one thread, or one thread with all."""

    def __init__(self, data: Path, pictures: Sequence[bytes]) -> None:
        settings = shipped_settings().model_copy(update={"data_dir": data})
        self._gallery = open_copy(settings)
        self._pictures = pictures
        cores = cpu_count()
        self._layouts: dict[Threads, int] = {"one": cores, "shipped": 1}
        self._pipelines = {threads: PlainPipeline(settings, self._gallery, threads) for threads in self._layouts}
        for threads in self._layouts:
            self.measure(threads, 1.0)

    def best(self, seconds: float) -> dict[str, Any]:
        """Pictures per second of the better layout, and its processor seconds for each."""
        return max((self.measure(threads, seconds) for threads in self._layouts), key=lambda m: float(m["per_second"]))

    def measure(self, threads: Threads, seconds: float) -> dict[str, Any]:
        """One layout."""
        numbers, pipeline = count(), self._pipelines[threads]
        start, used = time.perf_counter(), time.process_time()

        def loop() -> int:
            done = 0
            while time.perf_counter() - start < seconds:
                pipeline.search(self._pictures[next(numbers) % len(self._pictures)], COLLECTION)
                done += 1
            return done

        workers = self._layouts[threads]
        with ThreadPoolExecutor(workers) as pool:
            done = sum(pool.map(lambda _: loop(), range(workers)))
        took, cpu = time.perf_counter() - start, time.process_time() - used
        name = f"{workers} threads, onnxruntime on {'one' if threads == 'one' else 'all'}"
        return {"layout": name, "per_second": round(done / took, 2), "cpu_ms": round(cpu / done * 1e3, 2)}

    def close(self) -> None:
        """Release the data."""
        self._gallery.close()


class Load:
    """Loads a side from a process of its own."""

    def __init__(self, folder: Path, pictures: Sequence[bytes], faces: str = "largest") -> None:
        folder.mkdir(exist_ok=True)
        self._plan = folder / "plan.json"
        boundary = uuid.uuid4().hex
        self._type = f"multipart/form-data; boundary={boundary}"
        self._bodies = []
        for number, picture in enumerate(pictures):
            path = folder / f"body-{number}"
            path.write_bytes(multipart(boundary, picture, faces))
            self._bodies.append(str(path))

    def apply(
        self,
        side: Side,
        seconds: float,
        clients: int = 0,
        rate: float = 0.0,
        samples: bool = False,
        warm_up: float = 0.5,
    ) -> dict[str, Any]:
        """One step's figures, with processor seconds."""
        headers = {**side.headers, "Content-Type": self._type}
        plan = Plan(side.url, headers, self._bodies, seconds, warm_up, clients=clients, rate=rate, samples=samples)
        write_plan(plan, self._plan)
        used, own = side.cpu_seconds(), _children_seconds()
        command = [sys.executable, "-m", "benchmarks.load", str(self._plan)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=seconds + 120, check=False)
        if done.returncode:
            raise RuntimeError(f"the load generator failed:\n{done.stderr}")
        figures: dict[str, Any] = json.loads(done.stdout)
        spent = sum(seconds - used.get(pid, 0.0) for pid, seconds in side.cpu_seconds().items())
        figures["cpu_ms"] = round(spent / max(1, figures["altogether"]) * 1e3, 2)
        figures["generator_cpu_ms"] = round((_children_seconds() - own) / max(1, figures["altogether"]) * 1e3, 2)
        return figures


def _children_seconds() -> float:
    """Processor seconds of child processes that have ended, such as the load generator."""
    times = os.times()
    return times.children_user + times.children_system


Steps = dict[str, dict[int, list[dict[str, Any]]]]


@contextlib.contextmanager
def up(side: Side, load: Load) -> Iterator[None]:
    """The side, serving and warm."""
    begun = time.monotonic()
    try:
        side.start()
        print(f"{side.name} is up after {time.monotonic() - begun:.0f} s", flush=True)
        load.apply(side, 2.0, clients=8)  # caches, connections, threads
        yield
    finally:
        side.stop()


def closed_loop(sides: Sequence[Side], floor: Floor, load: Load, options: argparse.Namespace) -> dict[str, Any]:
    """Side -> concurrency -> one step for each round; and the floor's measurements, taken in between."""
    steps: Steps = {side.name: {clients: [] for clients in options.clients} for side in sides}
    floors, batches = [], {}
    for number in range(options.rounds):
        for side in sides:
            floors.append(floor.best(options.seconds / 2))
            print(f"{FLOOR}: {floors[-1]['per_second']}/s", flush=True)
            with up(side, load):
                for clients in options.clients:
                    step = load.apply(side, options.seconds, clients=clients)
                    steps[side.name][clients].append(step)
                    print(f"  c={clients:<3} {step['per_second']:7.1f}/s  p50 {step['p50']} ms", flush=True)
                if number == options.rounds - 1:
                    faces, calls = side.batches()
                    batches[side.name] = round(faces / calls, 2) if calls else None
    return {"steps": steps, "floors": floors, "batches": batches}


def open_loop(side: Side, load: Load, shares: Sequence[float], capacity: float, seconds: float) -> list[dict[str, Any]]:
    """One step for each rate; the lowest tells the unloaded times and lasts longer.

    The first seconds of a step do not count: an overload first fills the queue that serves bursts.
    """
    opened = []
    for share in shares:
        rate = max(1.0, share * capacity)
        step = load.apply(side, seconds * (2 if rate < 5 else 1), rate=round(rate, 2), warm_up=FILLING_S)
        opened.append({"share_of_capacity": share, **step})
        print(
            f"open loop {rate:6.1f}/s: {step['per_second']}/s, p99 {step['p99']}, 429 {step['share_429']}", flush=True
        )
    return opened


def summarise(measured: dict[str, Any]) -> dict[str, Any]:
    """Medians over the rounds, and the shares of the floor."""
    closed: dict[str, dict[str, Any]] = {}
    for name, by_clients in measured["steps"].items():
        closed[name] = {}
        for clients, steps in by_clients.items():
            numbers = [key for key in steps[0] if isinstance(steps[0][key], int | float)]
            medians = {key: round(float(np.median([step.get(key, np.nan) for step in steps])), 3) for key in numbers}
            closed[name][str(clients)] = {**medians, "per_second_of_rounds": [step["per_second"] for step in steps]}
    floors = quartiles([floor["per_second"] for floor in measured["floors"]])
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
    """The open loop's steps; the accepted requests' p99 at the highest rate against the unloaded one."""
    return {
        "capacity_per_second": capacity,
        "target": "at twice the capacity accepted requests keep p99 <= 3 times the unloaded p99, no failures",
        "p99_ratio_at_the_highest_rate": round(steps[-1]["p99"] / steps[0]["p99"], 2),
        "steps": steps,
    }


def show(figures: dict[str, Any]) -> None:
    """The table."""
    print(f"{FLOOR}: {figures['floor_per_second']['median']:.1f}/s")
    for name, by_clients in figures["closed"].items():
        cells = [
            f"c={c}: {step['per_second']:.1f} ({figures['share_of_floor'][name][c]:.2f})"
            for c, step in by_clients.items()
        ]
        print(f"{name:>28}  {'  '.join(cells)}")
