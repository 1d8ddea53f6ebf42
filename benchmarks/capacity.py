"""The capacity model against measurements: what the service does at two points, and what the model says before.

Measured for the model: each step's processor time in one process on one thread, and HTTP's as what a search by one
client costs the service beyond that. Then the model predicts two points that it has not seen, and the service is
measured there: 16 clients with one face a picture, and 16 clients with four faces a picture that are all searched.
What the load generator uses on the same machine is added to a request's cost, since the cores are shared.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks import plots
from benchmarks.contenders import ServeSide
from benchmarks.dataset import DEFAULT_IMAGES, read_people, split
from benchmarks.identification import COLLECTION, enrol
from benchmarks.inprocess import PlainPipeline, open_copy, shipped_settings
from benchmarks.latency import probe_pictures
from benchmarks.launcher import running_service
from benchmarks.pictures import HEIGHT, WIDTH, encode
from benchmarks.report import Report, overrides
from benchmarks.statistics import quartiles
from benchmarks.throughput import Load as Generator
from serve_app.capacity import Load, Times, picture_ms
from serve_app.client import Client
from serve_app.processors import cpu_count

FACES = 4
CLIENTS = 16


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The benchmark's own options."""
    parser.add_argument("--images", type=Path, default=DEFAULT_IMAGES, help="a sub-folder of pictures for each person")
    parser.add_argument("--people", type=int, default=1000, help="size of the gallery")
    parser.add_argument("--pictures", type=int, default=24, help="different pictures of each kind")
    parser.add_argument("--seconds", type=float, default=10.0, help="of one measurement")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each point")


def run(options: argparse.Namespace) -> Path:
    """Measure, predict, measure, print, write; the JSON file's path."""
    chosen = split(read_people(options.images), options.people, 1)
    single = probe_pictures(chosen, options.pictures)
    settings = {"people": options.people, "seconds": options.seconds, "rounds": options.rounds, "clients": CLIENTS}
    report = Report("capacity", {**settings, "environment": overrides()}, reference=options.reference)
    with tempfile.TemporaryDirectory(prefix="facegraph-benchmark-") as name:
        folder = Path(name)
        print("Starting a service, enrolling ...", flush=True)
        with running_service(folder / "data") as service, Client(service.url, service.key, patience_s=120) as client:
            enrol(client, chosen, "largest", 4)
        crowded = [crowd(four) for four in fours(single)]
        steps = one_thread(folder / "data", single, crowded)
        portraits = Generator(folder / "portraits", single)
        crowds = Generator(folder / "crowds", crowded, faces="all")
        side = ServeSide("facegraph, as shipped", folder / "data", folder)
        try:
            side.start()
            portraits.apply(side, 3.0, clients=4)
            alone = [portraits.apply(side, options.seconds / 2, clients=1)["cpu_ms"] for _ in range(options.rounds)]
            http = max(0.0, float(np.median(alone)) - sum(steps.values()))
            times = Times(http, steps["detect"], steps["place"], steps["embed"], steps["match"], 0.0, options.people)
            points = [
                point(Load(1, faces=faces, gallery=options.people), times, generator, side, options)
                for faces, generator in ((1, portraits), (FACES, crowds))
            ]
        finally:
            side.stop()
    plots.capacity(report.plot_path(), points)
    return report.write({"times_ms": asdict(times), "cores": cpu_count(), "points": points})


def point(
    load: Load, times: Times, generator: Generator, side: ServeSide, options: argparse.Namespace
) -> dict[str, Any]:
    """The prediction for a load on all cores of this machine, and what was measured."""
    generator.apply(side, 2.0, clients=CLIENTS)
    steps = [generator.apply(side, options.seconds, clients=CLIENTS) for _ in range(options.rounds)]
    generating = float(np.median([step["generator_cpu_ms"] for step in steps]))
    predicted = picture_ms(load, times)
    rate = 1e3 * cpu_count() / (predicted + generating)
    found = {
        "faces": load.faces,
        "predicted_cpu_ms": round(predicted, 2),
        "measured_cpu_ms": quartiles([step["cpu_ms"] for step in steps]),
        "generator_cpu_ms": generating,
        "predicted_per_second": round(rate, 2),
        "measured_per_second": quartiles([step["per_second"] for step in steps]),
        "share_failed": max(step["share_failed"] for step in steps),
    }
    print(
        f"{load.faces:g} faces: predicted {predicted:.1f} ms of processor time and {rate:.1f}/s, measured "
        f"{found['measured_cpu_ms']['median']:.1f} ms and {found['measured_per_second']['median']:.1f}/s",
        flush=True,
    )
    return found


def fours(portraits: Sequence[bytes]) -> list[list[bytes]]:
    """Each portrait with the three after it."""
    return [
        [portraits[(start + number) % len(portraits)] for number in range(FACES)] for start in range(len(portraits))
    ]


def crowd(portraits: Sequence[bytes]) -> bytes:
    """A 640x480 picture of four portraits, each at half its size."""
    tiles = []
    for portrait in portraits:
        decoded = cv2.imdecode(np.frombuffer(portrait, np.uint8), cv2.IMREAD_COLOR)
        if decoded is None:
            raise ValueError("the portrait cannot be decoded")
        tiles.append(cv2.resize(decoded, (WIDTH // 2, HEIGHT // 2), interpolation=cv2.INTER_AREA))
    return encode(np.asarray(np.vstack([np.hstack(tiles[:2]), np.hstack(tiles[2:])]), np.uint8))


def one_thread(data: Path, portraits: Sequence[bytes], crowded: Sequence[bytes]) -> dict[str, float]:
    """Median milliseconds of each step, one after the other, onnxruntime on one thread.

    What a face costs the detector is what the same picture of four takes more with all than with one of them.
    """
    settings = shipped_settings().model_copy(update={"data_dir": data})
    gallery = open_copy(settings)
    try:
        pipeline = PlainPipeline(settings, gallery, "one")
        found = [pipeline.search(picture, COLLECTION) for picture in (*portraits, *portraits)][len(portraits) :]
        more = [pipeline.detect_ms(picture, FACES) - pipeline.detect_ms(picture, 1) for picture in crowded]
    finally:
        gallery.close()
    steps = {
        step: float(np.median([getattr(search, step) for search in found])) for step in ("detect", "embed", "match")
    }
    place = max(0.0, float(np.median(more)) / (FACES - 1))
    return {**steps, "detect": steps["detect"] - place, "place": place}
