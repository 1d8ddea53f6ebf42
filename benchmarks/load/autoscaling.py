"""Autoscaling of the distributed graph: replicas, queues, latency and 429s while the load steps up, bursts and falls.

Each replica of detector and embedder computes on one core here, so that a second one is a second core. The liveness
scorer can scale to zero (``min_replicas: 0``): a few requests in the step start it. All figures are measured from
outside: the load generator times each request from the moment at which it was due, and ``GET /v1/status`` is read twice
a second.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from benchmarks.common.dataset import add_images_option, read_people, split
from benchmarks.common.enrolment import enrolled_folder, probe_pictures
from benchmarks.common.machine import overrides
from benchmarks.common.report import Report
from benchmarks.load import plots
from benchmarks.load.contenders import ServiceContender
from benchmarks.load.driver import LoadDriver

STAGES = ("detector", "liveness", "embedder", "matcher")
TARGETS = {"DETECTOR": 4, "EMBEDDER": 16, "LIVENESS": 8}
"""Calls under way for each replica."""

POLL_S = 0.5
BIN_S = 2.0


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of the trace: its name, seconds, and rate as a share of the graph's capacity at the beginning."""

    name: str
    seconds: float
    share: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The benchmark's own options."""
    add_images_option(parser)
    parser.add_argument("--people", type=int, default=100, help="size of the gallery")
    parser.add_argument("--pictures", type=int, default=20, help="different images")
    parser.add_argument("--replicas", type=int, default=2, help="most replicas of detector and embedder")
    parser.add_argument("--calm", type=float, default=15.0, help="seconds before the step")
    parser.add_argument("--step", type=float, default=45.0, help="seconds at the higher rate")
    parser.add_argument("--burst", type=float, default=15.0, help="seconds at twice the capacity")
    parser.add_argument("--down", type=float, default=75.0, help="seconds at the low rate again")
    parser.add_argument("--downscale-delay", type=float, default=20.0, help="seconds; the shipped value is 60")


def run(options: argparse.Namespace) -> Path:
    """Measure, print and write; the JSON file's path."""
    chosen = split(read_people(options.images), options.people, 1)
    pictures = probe_pictures(chosen, options.pictures)
    environment = policies(options)
    phases = [
        Phase("calm", options.calm, 0.2),
        Phase("step", options.step, 0.9),
        Phase("burst", options.burst, 2.0),
        Phase("down", options.down, 0.1),
    ]
    settings = {"people": options.people, "policies": environment, "environment": overrides()}
    report = Report("autoscaling", settings, reference=options.reference)
    with tempfile.TemporaryDirectory(prefix="facegraph-benchmark-") as name:
        folder = Path(name)
        enrolled_folder(folder / "data", chosen)
        contender = ServiceContender("facegraph, distributed", folder / "data", folder, **environment)
        try:
            contender.start()
            load = LoadDriver(folder / "load", pictures)
            load.apply(contender, 2.0, clients=2)
            capacity = load.apply(contender, 5.0, clients=4)["per_second"]
            print(f"{capacity:.1f} searches per second before a replica is added", flush=True)
            found = trace(contender, load, phases, capacity, pictures[0])
        finally:
            contender.stop()
    figures = {"capacity_per_second": capacity, **summarise(found, phases)}
    for stage, told in figures["stages"].items():
        print(f"{stage:>9}: at most {told['most']} replicas, {told['turns']} turns", flush=True)
    for told in figures["phases"]:
        print(f"{told['name']:>9}: p50 {told['p50']} ms, p99 {told['p99']} ms, 429 {told['share_429']:.2f}", flush=True)
    plots.autoscaling(report.plot_path(), found, figures["phases"], BIN_S)
    return report.write({**figures, "trace": found})


def policies(options: argparse.Namespace) -> dict[str, str]:
    """Settings that differ from configs/local.yaml, as environment variables."""
    made = {"FACEGRAPH_TOPOLOGY": "distributed", "FACEGRAPH_DETECTOR__WORKERS": "1"}
    for stage, target in TARGETS.items():
        prefix = f"FACEGRAPH_{stage}__SERVE__AUTOSCALING__"
        made[f"{prefix}DOWNSCALE_DELAY_S"] = str(options.downscale_delay)
        made[f"FACEGRAPH_{stage}__INFERENCE__THREADS"] = "1"
        made[f"{prefix}TARGET_ONGOING_REQUESTS"] = str(target)
        if stage == "LIVENESS":
            made[f"{prefix}MIN_REPLICAS"] = "0"
        else:
            made[f"{prefix}MAX_REPLICAS"] = str(options.replicas)
    return made


def trace(
    contender: ServiceContender, load: LoadDriver, phases: Sequence[Phase], capacity: float, picture: bytes
) -> dict[str, Any]:
    """One run through the phases: starts of the phases, states and requests, in seconds since the beginning."""
    states: list[dict[str, Any]] = []
    requests: list[tuple[float, float, int]] = []
    starts: list[float] = []
    stop = threading.Event()
    began = time.monotonic()

    def connect(timeout_s: float) -> httpx.Client:
        url, headers = contender.service.url, contender.headers
        return httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=timeout_s)

    def watch() -> None:
        with connect(5) as client:
            while not stop.wait(POLL_S):
                with contextlib.suppress(httpx.HTTPError, ValueError, KeyError):
                    answer = client.get("/v1/status").json()
                    stages = {stage["name"]: stage for stage in answer["stages"]}
                    states.append(
                        {
                            "at": round(time.monotonic() - began, 2),
                            "replicas": {name: (stages[name]["replicas"] or {}).get("RUNNING", 0) for name in STAGES},
                            "in_flight": {name: stages[name]["in_flight"] for name in STAGES},
                        }
                    )

    def wake() -> None:
        with connect(60) as client:
            for _ in range(3):
                with contextlib.suppress(httpx.HTTPError):
                    client.post("/v1/liveness", files={"image": picture})

    threads = [threading.Thread(target=watch)]
    threads[0].start()
    try:
        for phase in phases:
            starts.append(round(time.monotonic() - began, 2))
            if phase.name == "step":
                threads.append(threading.Thread(target=wake))
                threads[-1].start()
            step = load.apply(contender, phase.seconds, rate=max(0.5, phase.share * capacity), samples=True)
            requests += [(round(starts[-1] + due, 3), took, status) for due, took, status in step["samples"]]
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    return {"phase_starts": starts, "states": states, "requests": requests}


def summarise(found: dict[str, Any], phases: Sequence[Phase]) -> dict[str, Any]:
    """By stage the most replicas and the changes of direction of their number; by phase times and shares of 429s."""
    stages = {}
    for stage in STAGES:
        numbers = [state["replicas"][stage] for state in found["states"]]
        stages[stage] = {
            "most": max(numbers, default=0),
            "last": numbers[-1] if numbers else 0,
            "turns": turns(numbers),
        }
    by_phase: dict[int, list[tuple[float, int]]] = defaultdict(list)
    for due, took, status in found["requests"]:
        by_phase[int(np.searchsorted(found["phase_starts"], due, side="right")) - 1].append((took, status))
    told = []
    for number, phase in enumerate(phases):
        answered = [took for took, status in by_phase[number] if status == 200]
        p50, p99 = np.quantile(answered, [0.5, 0.99]).round(1).tolist() if answered else (None, None)
        sent = max(1, len(by_phase[number]))
        told.append(
            {
                "name": phase.name,
                "start": found["phase_starts"][number],
                "seconds": phase.seconds,
                "share_of_capacity": phase.share,
                "requests": len(by_phase[number]),
                "p50": p50,
                "p99": p99,
                "share_429": round(sum(status == 429 for _, status in by_phase[number]) / sent, 4),
                "share_failed": round(sum(status not in (200, 429) for _, status in by_phase[number]) / sent, 4),
            }
        )
    return {"stages": stages, "phases": told}


def turns(numbers: Sequence[int]) -> int:
    """Number of changes of direction in a series: 1 for up and down again; more is flapping."""
    steps = [sign for sign in np.sign(np.diff(numbers)).tolist() if sign]
    return sum(before != after for before, after in pairwise(steps))
