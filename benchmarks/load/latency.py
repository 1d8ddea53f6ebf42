"""Search latency at concurrency 1: through HTTP against the same work in one process, side by side.

A 640x480 JPEG with one face, no liveness, a gallery of 1,000 people, one request at a time. Blocks of searches take
turns (HTTP, in one process as shipped, in one process with onnxruntime's default threads), so that other work on the
machine slows all of them alike. Every way searches the same images and must find the same people. The ratio is taken
against the faster of the two in-process ways, round by round.

The client is a bare HTTP connection that is kept open, with bodies made beforehand, so that its own time is small.
"""

from __future__ import annotations

import argparse
import http.client
import json
import shutil
import tempfile
import time
import uuid
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from rich.progress import track

from benchmarks.common.dataset import add_images_option, read_people, split
from benchmarks.common.enrolment import COLLECTION, enrolled_folder, probe_pictures
from benchmarks.common.images import HEIGHT, WIDTH
from benchmarks.common.machine import overrides
from benchmarks.common.models import shipped_settings
from benchmarks.common.pipeline import PlainPipeline, open_copy
from benchmarks.common.report import Report
from benchmarks.common.service import running_service
from benchmarks.common.statistics import Spread, quartiles
from benchmarks.load import plots
from benchmarks.load.driver import multipart

HTTP, SHIPPED, DEFAULT = "HTTP", "in process, threads as shipped", "in process, onnxruntime's default threads"
TARGET = "<= 1.35"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The benchmark's own options."""
    add_images_option(parser)
    parser.add_argument("--people", type=int, default=1000, help="size of the gallery")
    parser.add_argument("--pictures", type=int, default=25, help="different images, each searched once per block")
    parser.add_argument("--rounds", type=int, default=20, help="blocks of each way")
    parser.add_argument("--warm-up", type=int, default=3, help="rounds before those that count")
    parser.add_argument("--concurrency", type=int, default=4, help="requests at the same time while enrolling")
    parser.add_argument("--seed", type=int, default=1, help="of the draw of enrolled people")


def run(options: argparse.Namespace) -> Path:
    """Measure, print and write; the JSON file's path."""
    chosen = split(read_people(options.images), options.people, options.seed)
    pictures = probe_pictures(chosen, options.pictures)
    size_kb = float(np.mean([len(picture) for picture in pictures])) / 1e3
    settings = shipped_settings()
    report = Report(
        "latency",
        {
            "people": options.people,
            "picture": f"{WIDTH}x{HEIGHT} JPEG, one face, {size_kb:.0f} kB on average",
            "pictures": len(pictures),
            "rounds": options.rounds,
            "warm_up": options.warm_up,
            "searches_each_way": options.rounds * len(pictures),
            "seed": options.seed,
            "topology": settings.topology.value,
            "threads": {
                "detector": settings.detector.inference.threads,
                "embedder": settings.embedder.inference.threads,
            },
            "environment": overrides(),
        },
        reference=options.reference,
    )
    with tempfile.TemporaryDirectory(prefix="facegraph-benchmark-") as folder:
        data, copy = Path(folder) / "data", Path(folder) / "copy"
        refused = enrolled_folder(data, chosen, options.concurrency)
        shutil.copytree(data, copy)
        gallery = open_copy(settings.model_copy(update={"data_dir": copy}))
        try:
            with running_service(data) as service:
                rounds = measure(
                    HttpSearch(service.url, service.key, pictures),
                    {
                        SHIPPED: PlainPipeline(settings, gallery, "shipped"),
                        DEFAULT: PlainPipeline(settings, gallery, "default"),
                    },
                    pictures,
                    options.warm_up,
                    options.rounds,
                )
        finally:
            gallery.close()
    figures = summarise(rounds)
    figures["enrolled"] = options.people - len(refused)
    samples = {way: [total for block in blocks for total in block["total"]] for way, blocks in rounds.items()}
    plots.latency(report.plot_path(), samples, figures.pop("ratios"))
    for way, times in figures["milliseconds"].items():
        print(f"{way:>45}  p50 {times['median']:6.1f} ms   p95 {times['p95']:6.1f} ms")
    print(f"{'ratio of medians against the faster':>45}  {figures['ratio']}")
    return report.write(figures)


class HttpSearch:
    """Searches over one open connection, with a body made for each image beforehand."""

    def __init__(self, url: str, key: str, pictures: Sequence[bytes]) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        boundary = uuid.uuid4().hex
        self._headers = {"X-API-Key": key, "Content-Type": f"multipart/form-data; boundary={boundary}"}
        self._bodies = [multipart(boundary, picture) for picture in pictures]

    def search(self, number: int) -> tuple[float, dict[str, Any]]:
        """Milliseconds until the answer was read and parsed, and the answer.

        Raises:
            RuntimeError: the answer's status is not 200.
        """
        start = time.perf_counter()
        self._connection.request("POST", "/v1/search", self._bodies[number], self._headers)
        response = self._connection.getresponse()
        answer = json.loads(response.read())
        end = time.perf_counter()
        if response.status != 200:
            raise RuntimeError(f"the search was answered with {response.status}: {answer}")
        return (end - start) * 1e3, answer


Block = dict[str, list[float]]
"""The searches of a block: step -> milliseconds of each search."""


def measure(
    over_http: HttpSearch, pipelines: dict[str, PlainPipeline], pictures: Sequence[bytes], warm_up: int, rounds: int
) -> dict[str, list[Block]]:
    """Way -> one block for each round.

    Raises:
        RuntimeError: the ways do not find the same people.
    """
    blocks: dict[str, list[Block]] = defaultdict(list)
    for number in track(range(warm_up + rounds), description="Searching"):
        said: dict[str, list[str | None]] = {}
        measured: dict[str, Block] = {}
        measured[HTTP], said[HTTP] = http_block(over_http, len(pictures))
        for way, pipeline in pipelines.items():
            searches = [pipeline.search(picture, COLLECTION) for picture in pictures]
            said[way] = [search.person for search in searches]
            steps = ("detect", "embed", "match", "total")
            measured[way] = {step: [getattr(search, step) for search in searches] for step in steps}
        if len({tuple(people) for people in said.values()}) != 1:
            raise RuntimeError(f"the ways do not find the same people: {said}")
        if number >= warm_up:
            for way, block in measured.items():
                blocks[way].append(block)
    return blocks


def http_block(over_http: HttpSearch, count: int) -> tuple[Block, list[str | None]]:
    """One search for each image; ``outside`` is the time that the service itself does not measure."""
    block: Block = defaultdict(list)
    people: list[str | None] = []
    for number in range(count):
        total, answer = over_http.search(number)
        steps = answer["timings_ms"]
        for step in ("detect", "embed", "match"):
            block[step].append(steps[step])
        block["outside"].append(total - steps["total"])
        block["total"].append(total)
        matches = answer["faces"][0]["matches"] if answer["faces"] else []
        people.append(matches[0]["person"]["id"] if matches else None)
    return dict(block), people


def summarise(rounds: dict[str, list[Block]]) -> dict[str, Any]:
    """Times and steps of each way, and the ratio of the block medians of HTTP to those of the faster in-process way."""
    medians = {way: np.array([np.median(block["total"]) for block in blocks]) for way, blocks in rounds.items()}
    faster = min((way for way in rounds if way != HTTP), key=lambda way: float(np.median(medians[way])))
    ratios = medians[HTTP] / medians[faster]
    pooled = {
        way: {step: [value for block in blocks for value in block[step]] for step in blocks[0]}
        for way, blocks in rounds.items()
    }
    return {
        "target": {"ratio": TARGET},
        "ratio": {**quartiles(ratios), "against": faster, "over": f"{len(ratios)} rounds"},
        "ratio_of_pooled_medians": round(
            float(np.median(pooled[HTTP]["total"]) / np.median(pooled[faster]["total"])), 4
        ),
        "milliseconds": {way: Spread.of(steps["total"]).as_dict() for way, steps in pooled.items()},
        "steps_median_ms": {
            way: {step: round(float(np.median(values)), 3) for step, values in steps.items() if step != "total"}
            for way, steps in pooled.items()
        },
        "ratios": ratios.tolist(),
    }
