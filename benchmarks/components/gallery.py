"""The vector index by size: milvus-lite and a real Milvus server, on synthetic templates.

Templates are unit vectors in clusters, one per person: a centre drawn uniformly from the sphere plus noise, so that two
templates of one person have the cosine that SFace's have on average. Probes are further templates of enrolled people.
Each size and store runs in a separate process, so that its memory can be measured. The calls are those of the matcher:
the index with its filter, its consistency level and its keys; the records are not part of it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.common.report import Report
from benchmarks.common.service import figures_of
from benchmarks.common.statistics import Spread
from benchmarks.components import plots
from serve_app.domain import Vectors
from serve_app.gallery.index.base import IndexRow, RowKey
from serve_app.gallery.index.locations import IndexLocation
from serve_app.gallery.index.milvus_backends import MilvusBackends
from serve_app.gallery.index.milvus_server import MilvusIndex

MODEL, COLLECTION, NAMESPACE = "benchmark", "c" * 32, "b" * 32
DIMENSION, GENUINE_COSINE, FACES_PER_PERSON = 128, 0.65, 4
RECALL_SEARCHES = 2_000
SETTLED_WITHIN_S = 1800
TARGETS = {
    "milvus-lite, 10,000 faces": "p50 <= 10 ms",
    "server, 100,000 faces": "p50 <= 6 ms, recall@1 >= 0.999",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The benchmark's own options."""
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000], help="numbers of faces")
    parser.add_argument("--stores", nargs="+", choices=("milvus-lite", "server"), default=["milvus-lite", "server"])
    parser.add_argument("--uri", help="of a Milvus server [default: one is started from the package milvus]")
    parser.add_argument("--searches", type=int, default=200, help="single searches at each size")


def run(options: argparse.Namespace) -> Path:
    """Measure, print and write; the JSON file's path."""
    report = Report(
        "gallery",
        {
            "dimension": DIMENSION,
            "genuine_cosine": GENUINE_COSINE,
            "faces_per_person": FACES_PER_PERSON,
            "searches": options.searches,
            "searches_for_recall": RECALL_SEARCHES,
        },
        reference=options.reference,
    )
    found: dict[str, dict[str, Any]] = {}
    for store in options.stores:
        with tempfile.TemporaryDirectory(prefix="facegraph-benchmark-") as folder, running(store, options.uri) as uri:
            for size in options.sizes:
                where = uri or str(Path(folder) / f"{size}.db")
                figures = figures_of("benchmarks.components.gallery", where, str(size), str(options.searches))
                found.setdefault(store, {})[str(size)] = figures
                search = figures["search_ms"]
                print(
                    f"{store:>12} {size:>9,}: p50 {search['median']:.1f} ms, p99 {search['p99']:.1f}, "
                    f"32 at once {figures['batch_of_32_ms']['median']:.1f} ms, 16 callers "
                    f"{figures['16_callers_per_second']:.0f}/s, recall@1 {figures['recall_at_1']:.4f}, enrol "
                    f"{figures['enrolled_per_second']:.0f}/s",
                    flush=True,
                )
                written = report.write({"targets": TARGETS, "stores": found})  # after each size: the largest take long
    plots.gallery(report.plot_path(), found)
    return written


@contextlib.contextmanager
def running(store: str, uri: str | None) -> Iterator[str | None]:
    """The URI of a running Milvus server, stopped at the end if it was started here; None for milvus-lite."""
    if store != "server" or uri:
        yield uri if store == "server" else None
        return
    from scripts.servers.milvus import MilvusServer

    server = MilvusServer()
    try:
        yield server.uri
    finally:
        server.stop()


def templates(count: int, seed: int) -> tuple[Vectors, Vectors]:
    """Enrolled templates, float32 (count, 128), and one probe for each person (count / 4, 128)."""
    random = np.random.default_rng(seed)
    people = max(1, count // FACES_PER_PERSON)
    centres = _unit(random.standard_normal((people, DIMENSION), np.float32))
    # Two templates sqrt(a)*centre + sqrt(1-a)*noise of one person have the cosine a, plus that of their noises.
    share, noise = np.float32(np.sqrt(GENUINE_COSINE)), np.float32(np.sqrt(1 - GENUINE_COSINE))

    def draw(owners: np.ndarray[Any, np.dtype[np.int64]]) -> Vectors:
        strangers = _unit(random.standard_normal((len(owners), DIMENSION), np.float32))
        return _unit(share * centres[owners] + noise * strangers)

    return draw(np.arange(count) % people), draw(np.arange(people))


def measure(uri: str, size: int, searches: int) -> dict[str, Any]:
    """Enrol, search, open again, build again; the figures of each."""
    enrolled, probes = templates(size, seed=size)
    many = probes[np.linspace(0, len(probes) - 1, min(RECALL_SEARCHES, len(probes))).astype(int)]
    probes = probes[np.linspace(0, len(probes) - 1, min(searches, len(probes))).astype(int)]
    process = psutil.Process()
    before = process.memory_info().rss
    index = _open(uri)
    index.drop(MODEL)
    took = _timed(lambda: _fill(index, enrolled))
    settled = _timed(lambda: _settle(index, enrolled[:1]))
    single = [_timed(lambda: index.search(MODEL, probe[None], [COLLECTION], 18)) * 1e3 for probe in probes]  # noqa: B023
    nearest = np.concatenate([np.argmax(few @ enrolled.T, axis=1) for few in np.array_split(many, 40)])
    recall = _recall(index, many, nearest)
    batch = np.resize(probes, (32, DIMENSION))
    batches = [_timed(lambda: index.search(MODEL, batch, [COLLECTION], 18)) * 1e3 for _ in range(20)]
    callers = _callers(index, probes)
    memory = process.memory_info().rss - before
    index.close()
    embedded = "://" not in uri
    disk = sum(path.stat().st_size for path in Path(uri).rglob("*") if path.is_file()) if embedded else None
    start = time.perf_counter()
    index = _open(uri)
    index.search(MODEL, probes[:1], [COLLECTION], 18)
    restart = time.perf_counter() - start
    index.drop(MODEL)
    start = time.perf_counter()
    _fill(index, enrolled)
    _settle(index, enrolled[:1])
    again = time.perf_counter() - start
    index.drop(MODEL)
    index.close()
    return {
        "search_ms": Spread.of(single).as_dict(),
        "batch_of_32_ms": Spread.of(batches).as_dict(),
        "16_callers_per_second": round(callers, 1),
        "recall_at_1": recall,
        "enrolled_per_second": round(size / took, 1),
        "until_searches_are_fast_s": round(settled, 1),
        "memory_mb": round(memory / 2**20, 1),
        "disk_mb": None if disk is None else round(disk / 2**20, 1),
        "restart_to_first_answer_s": round(restart, 2),
        "reindex_s": round(again, 2),
    }


def _open(uri: str) -> MilvusIndex:
    return MilvusBackends(NAMESPACE, 120).open(IndexLocation(uri))


def _fill(index: MilvusIndex, enrolled: Vectors) -> None:
    for rows in _batches(enrolled):
        index.upsert(MODEL, rows)
    index.settle(MODEL, _key(len(enrolled) - 1))


def _settle(index: MilvusIndex, probe: Vectors) -> None:
    """Wait until the index, which a server builds in the background, is built and searches get no faster."""
    best, deadline = np.inf, time.perf_counter() + SETTLED_WITHIN_S
    while True:  # as the matcher's upkeep does
        time.sleep(1.1)
        index.maintain()
        if not index.unindexed() or time.perf_counter() > deadline:
            break
    while time.perf_counter() < deadline:
        took = min(_timed(lambda: index.search(MODEL, probe, [COLLECTION], 18)) for _ in range(10))
        if took > 0.9 * best:
            return
        best = min(best, took)
        time.sleep(2)


def _recall(index: MilvusIndex, probes: Vectors, nearest: np.ndarray[Any, np.dtype[np.int64]]) -> float:
    """Share of the probes whose nearest template is the first match."""
    first = []
    for start in range(0, len(probes), 32):
        answers = index.search(MODEL, probes[start : start + 32], [COLLECTION], 18)
        first += [int(hits[0].key.face_id, 16) if hits else -1 for hits in answers]
    return float(np.mean(np.array(first) == nearest))


def _callers(index: MilvusIndex, probes: Vectors, seconds: float = 3.0) -> float:
    """Searches per second of 16 concurrent callers."""
    end = time.perf_counter() + seconds

    def loop(first: int) -> int:
        done = 0
        while time.perf_counter() < end:
            index.search(MODEL, probes[(first + done) % len(probes)][None], [COLLECTION], 18)
            done += 1
        return done

    with ThreadPoolExecutor(16) as pool:
        return sum(pool.map(loop, range(16))) / seconds


def _batches(enrolled: Vectors) -> Iterator[Sequence[IndexRow]]:
    for start in range(0, len(enrolled), 1000):
        yield [IndexRow(_key(start + i), vector) for i, vector in enumerate(enrolled[start : start + 1000])]


def _key(number: int) -> RowKey:
    return RowKey(COLLECTION, f"{number:032x}")


def _timed(call: Any) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _unit(rows: Vectors) -> Vectors:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
