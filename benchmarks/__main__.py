"""``python -m benchmarks``: runs all benchmarks, or those that are named, each with its options.

python -m benchmarks                          all, with their defaults
python -m benchmarks identification --help    one, with its options
"""

from __future__ import annotations

import argparse
import importlib
import signal
import sys
from types import FrameType
from typing import NoReturn

from benchmarks.dataset import DataMissing

BENCHMARKS = {
    "accuracy": "Verification and open-set identification by threshold; the anchors of the score.",
    "detection": "Recall by face width on group photographs; false faces on pictures without any.",
    "identification": "Open-set identification through HTTP: rank-1, share found, FPIR.",
    "quality": "Whether quality predicts false non-matches; false alarms and misses of the quality codes.",
    "occlusion": "Whether covered faces can be told from their templates (drawn masks, sunglasses, hands).",
    "liveness": "Attacks taken for live people and live people refused: APCER, BPCER, ACER.",
    "latency": "Search latency through HTTP against the same work in one process.",
    "stages": "Embedder and detector alone, by batch size, against plain onnxruntime, OpenCV and the float32 peak.",
    "gpu": "Embedder and detector on an NVIDIA GPU by batch size; says so where there is none.",
    "gallery": "The vector index at 1,000 to 1,000,000 faces: milvus-lite and a Milvus server.",
    "autoscaling": "Replicas, queues, latency and 429s while the load steps up, bursts and goes down.",
    "capacity": "What the capacity model predicts for two loads, and what the service does.",
    "throughput": "Searches per second and latency under load, against other servers and a tight loop.",
}


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line says; 0 unless a benchmark could not run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__, add_help=True)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    names = parser.add_subparsers(dest="name", title="benchmarks", metavar="NAME")
    for name, summary in BENCHMARKS.items():
        child = names.add_parser(name, help=summary, description=summary)
        child.add_argument(
            "--reference", action="store_true", help="write to the committed benchmarks/results, not to results/local"
        )
        importlib.import_module(f"benchmarks.{name}").add_arguments(child)
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, _stop)
    chosen = [options] if options.name else [parser.parse_args([name]) for name in BENCHMARKS]
    failed = False
    for one in chosen:
        print(f"== {one.name}: {BENCHMARKS[one.name]}", flush=True)
        try:
            path = importlib.import_module(f"benchmarks.{one.name}").run(one)
        except DataMissing as error:
            print(f"Not run: {error}", file=sys.stderr)
            failed = True
        else:
            if path is not None:
                print(f"Written to {path}", flush=True)
    return int(failed)


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    """As an exception, so that a service of ours is stopped on the way out."""
    raise SystemExit(128 + number)


if __name__ == "__main__":
    raise SystemExit(main())
