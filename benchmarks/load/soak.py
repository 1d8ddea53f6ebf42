"""Soak: resident memory of each process of the service over thousands of mixed requests, and lost writes.

A service as shipped gets searches, enrolments, changes, deletions and requests that must be rejected
(:mod:`benchmarks.load.mixed_workload`) from several clients at the same time, while the resident memory of each of its
processes is sampled. At the end every acknowledged write is looked up. A long soak can be split: every run has other
requests, and the counts of all of them add up (``python -m scripts.long_runs``).
"""

from __future__ import annotations

import argparse
import contextlib
import re
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil

from benchmarks.common.dataset import add_images_option, read_people, thin
from benchmarks.common.images import camera_picture
from benchmarks.common.machine import overrides
from benchmarks.common.report import Report
from benchmarks.common.service import ServiceProcess, running_service
from benchmarks.load import mixed_workload, plots
from scripts.long_runs import LongRun

SETTLED = 0.2
"""Share of the requests after which caches and allocators are assumed to be filled."""

TARGET = "no process of the service grows by more than 5 % + 8 MB from the first fifth to the end; lost = 0; no 5xx"

Samples = Mapping[str, Sequence[tuple[int, float]]]
"""Process -> samples of requests answered so far and MB."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The benchmark's own options."""
    add_images_option(parser)
    parser.add_argument("--requests", type=int, default=10_000, help="number of requests")
    parser.add_argument("--clients", type=int, default=4, help="clients at the same time")
    parser.add_argument("--pictures", type=int, default=60, help="different images, half of them 640x480 portraits")
    parser.add_argument("--minutes", type=float, default=60.0, help="minutes after which it ends in any case")
    parser.add_argument(
        "--topology", choices=["single", "compact", "distributed"], help="of the service [default: as shipped]"
    )


def run(options: argparse.Namespace) -> Path:
    """Measure, print and write; the JSON file's path."""
    people = read_people(options.images)
    paths = thin([pictures[0] for pictures in people.values()], options.pictures)
    pictures = [camera_picture(path.read_bytes()) if i % 2 else path.read_bytes() for i, path in enumerate(paths)]
    environment = {"FACEGRAPH_TOPOLOGY": options.topology} if options.topology else {}
    settings = {"clients": options.clients, "pictures": len(pictures), "environment": {**overrides(), **environment}}
    kept = LongRun(f"mixed requests, topology {options.topology or 'as shipped'}", recorded=True)
    report = Report("soak", {**settings, "seed": kept.seed}, reference=options.reference)
    with (
        tempfile.TemporaryDirectory(prefix="facegraph-soak-") as name,
        running_service(Path(name) / "data", **environment) as service,
        httpx.Client(base_url=service.url, headers={"X-API-Key": service.key}, timeout=60, trust_env=False) as api,
    ):
        api.post("/v1/collections", json={"name": mixed_workload.COLLECTION}).raise_for_status()
        tally = mixed_workload.Tally()
        clients = [mixed_workload.Client(api, number, pictures, tally, kept.seed) for number in range(options.clients)]
        started = time.monotonic()
        with sampled(service, tally) as samples:
            mixed_workload.run(clients, tally, options.requests, started + 60 * options.minutes)
        took = time.monotonic() - started
        figures = {
            "target": TARGET,
            **summary(tally, samples),
            "seconds": round(took, 1),
            "per_second": round(tally.requests / took, 1),
            "lost": mixed_workload.lost(api, clients),
        }
    kept.add(
        **{name: int(figures[name]) for name in ("requests", "lost", "server_errors")},
        unexpected=len(figures["unexpected"]),
        processes_that_grew=sum(grew(memory) for memory in figures["memory_mb"].values()),
    )
    plots.memory(report.plot_path(), samples)
    for process, memory in figures["memory_mb"].items():
        print(f"{process:24} {memory['settled']:8.1f} -> {memory['end']:8.1f} MB, {memory['per_1000']:+.2f} per 1,000")
    print(f"{figures['requests']} requests, lost {figures['lost']}, unexpected {figures['unexpected']}")
    return report.write(figures)


@contextlib.contextmanager
def sampled(service: ServiceProcess, tally: mixed_workload.Tally, period_s: float = 2.0) -> Iterator[Samples]:
    """Sample resident memory while the body of the ``with`` statement runs."""
    samples: dict[str, list[tuple[int, float]]] = defaultdict(list)
    ended = threading.Event()

    def sample() -> None:
        while not ended.wait(period_s):
            measured: dict[str, float] = defaultdict(float)
            for process in service.processes:
                with contextlib.suppress(psutil.Error):
                    measured[role(process)] += process.memory_info().rss / 1e6
            for name, megabytes in measured.items():
                samples[name].append((tally.requests, megabytes))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield samples
    finally:
        ended.set()
        thread.join()


def role(process: psutil.Process) -> str:
    """The role of a process of the service; memory of processes with one role is added up."""
    line = " ".join(process.cmdline())
    if "ServeReplica:" in line:
        # ServeReplica:facegraph:Ingress.handle_request
        return re.split(r"[:. ]", line.partition("ServeReplica:")[2])[1]
    for mark, name in (
        ("ProxyActor", "Serve's proxy"),
        ("ServeController", "Serve's controller"),
        ("gcs_server", "Ray: gcs_server"),
        ("raylet/raylet", "Ray: raylet"),
        ("facegraph", "facegraph serve"),
    ):
        if mark in line:
            return name
    return "Ray: agents and idle workers"


def summary(tally: mixed_workload.Tally, samples: Samples) -> dict[str, Any]:
    """Answers by kind and status, and memory: see :func:`growth`."""
    by_kind: dict[str, dict[str, int]] = defaultdict(dict)
    for (kind, status), number in sorted(tally.answers.items()):
        by_kind[kind][str(status)] = number
    return {
        "requests": tally.requests,
        "answers": by_kind,
        "server_errors": sum(number for (_, status), number in tally.answers.items() if status >= 500),
        "unexpected": tally.unexpected,
        "memory_mb": {name: growth(values) for name, values in sorted(samples.items())},
        "samples_mb": {name: thinned(values) for name, values in samples.items()},
    }


def grew(memory: dict[str, float]) -> bool:
    """Whether a process misses the target, by what :func:`growth` found."""
    return memory["end"] > 1.05 * memory["settled"] + 8


def thinned(values: Sequence[tuple[int, float]], most: int = 100) -> list[tuple[int, float]]:
    """At most ``most`` samples at even distances, rounded."""
    step = -(-len(values) // most)
    return [(done, round(megabytes, 1)) for done, megabytes in values[::step]]


def growth(values: Sequence[tuple[int, float]]) -> dict[str, float]:
    """MB of one process at the start, after settling and at the end (medians of a tenth of the requests), and the slope
    after settling in MB per 1,000 requests."""
    done, megabytes = np.array(values, np.float64).T
    last = done[-1]
    settled = (done >= SETTLED * last) & (done <= (SETTLED + 0.1) * last)
    later = done >= SETTLED * last
    slope = float(np.polyfit(done[later], megabytes[later], 1)[0]) if len(set(done[later])) > 1 else 0.0
    return {
        "start": round(float(megabytes[0]), 1),
        "settled": round(float(np.median(megabytes[settled] if settled.any() else megabytes)), 1),
        "end": round(float(np.median(megabytes[done >= 0.9 * last])), 1),
        "per_1000": round(1000 * slope, 2),
    }
