"""The capacity model against measurements: its predictions for two loads, and what the service does there.

Measured for the model: each step's processor time in one process on one thread, and that of HTTP as what a search by
one client costs the service beyond these steps. Then the model predicts two loads that it was not measured with, and
the service is measured there: 16 clients with one face per image, and 16 clients with four faces per image that are all
searched. The load generator's processor time is added to a request's cost, since both share the cores.
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

from benchmarks.common.dataset import add_images_option, read_people, split
from benchmarks.common.enrolment import COLLECTION, enrolled_folder, probe_pictures
from benchmarks.common.images import HEIGHT, WIDTH, decode, encode
from benchmarks.common.machine import overrides
from benchmarks.common.models import shipped_settings
from benchmarks.common.pipeline import PlainPipeline, open_copy
from benchmarks.common.report import Report
from benchmarks.common.statistics import quartiles
from benchmarks.load import plots
from benchmarks.load.contenders import SHIPPED, ServiceContender
from benchmarks.load.driver import LoadDriver
from serve_app.capacity import Load, Times, picture_ms
from serve_app.processors import cpu_count

FACES = 4
CLIENTS = 16


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The benchmark's own options."""
    add_images_option(parser)
    parser.add_argument("--people", type=int, default=1000, help="size of the gallery")
    parser.add_argument("--pictures", type=int, default=24, help="different images of each kind")
    parser.add_argument("--seconds", type=float, default=10.0, help="seconds of one measurement")
    parser.add_argument("--rounds", type=int, default=3, help="measurements at each load")


def run(options: argparse.Namespace) -> Path:
    """Measure, predict, measure, print and write; the JSON file's path."""
    chosen = split(read_people(options.images), options.people, 1)
    single = probe_pictures(chosen, options.pictures)
    settings = {"people": options.people, "seconds": options.seconds, "rounds": options.rounds, "clients": CLIENTS}
    report = Report("capacity", {**settings, "environment": overrides()}, reference=options.reference)
    with tempfile.TemporaryDirectory(prefix="facegraph-benchmark-") as name:
        folder = Path(name)
        enrolled_folder(folder / "data", chosen)
        crowded = [crowd(four) for four in fours(single)]
        steps = one_thread(folder / "data", single, crowded)
        portraits = LoadDriver(folder / "portraits", single)
        crowds = LoadDriver(folder / "crowds", crowded, faces="all")
        contender = ServiceContender(SHIPPED, folder / "data", folder)
        try:
            contender.start()
            portraits.apply(contender, 3.0, clients=4)
            seconds = options.seconds / 2
            alone = [portraits.apply(contender, seconds, clients=1)["cpu_ms"] for _ in range(options.rounds)]
            http = max(0.0, float(np.median(alone)) - sum(steps.values()))
            times = Times(http, steps["detect"], steps["place"], steps["embed"], steps["match"], 0.0, options.people)
            points = [
                point(Load(1, faces=faces, gallery=options.people), times, driver, contender, options)
                for faces, driver in ((1, portraits), (FACES, crowds))
            ]
        finally:
            contender.stop()
    plots.capacity(report.plot_path(), points)
    return report.write({"times_ms": asdict(times), "cores": cpu_count(), "points": points})


def point(
    load: Load, times: Times, driver: LoadDriver, contender: ServiceContender, options: argparse.Namespace
) -> dict[str, Any]:
    """The prediction for a load on all cores of this machine, and the measurement."""
    driver.apply(contender, 2.0, clients=CLIENTS)
    steps = [driver.apply(contender, options.seconds, clients=CLIENTS) for _ in range(options.rounds)]
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
    """A 640x480 JPEG of four portraits, each at half its size.

    Raises:
        ValueError: a portrait is no image.
    """
    size = (WIDTH // 2, HEIGHT // 2)
    tiles = [cv2.resize(decode(portrait), size, interpolation=cv2.INTER_AREA) for portrait in portraits]
    return encode(np.asarray(np.vstack([np.hstack(tiles[:2]), np.hstack(tiles[2:])]), np.uint8))


def one_thread(data: Path, portraits: Sequence[bytes], crowded: Sequence[bytes]) -> dict[str, float]:
    """Median milliseconds of each step, run one after the other with onnxruntime on one thread.

    ``place``, the detector's cost of a face, is a third of the difference between detecting all four faces of a
    crowded image and one of them.
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
