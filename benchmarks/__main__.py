"""Command line of the benchmarks: runs all of them, or the named one with its options.

python -m benchmarks                          all but quick and soak, with their defaults
python -m benchmarks identification --help    one, with its options
"""

from __future__ import annotations

import argparse
import importlib
import signal
import sys
from types import FrameType
from typing import NoReturn

from benchmarks.common.dataset import DataMissing

BENCHMARKS = {
    "accuracy": ("accuracy.templates.benchmark", "Verification and open-set identification; the anchors of the score."),
    "detection": ("accuracy.detection.benchmark", "Recall by face width on group images; false faces."),
    "identification": ("accuracy.identification", "Open-set identification through HTTP: rank-1, share found, FPIR."),
    "turned": ("accuracy.turned", "Faces that lie on their side or stand on their head: matched, strangers answered."),
    "quality": ("accuracy.quality.benchmark", "Quality against false non-matches; error rates of the quality codes."),
    "occlusion": ("accuracy.occlusion.benchmark", "Detecting drawn masks, sunglasses and hands from templates."),
    "liveness": ("accuracy.liveness", "Attacks accepted and live people rejected: APCER, BPCER, ACER."),
    "latency": ("load.latency", "Search latency through HTTP against the same work in one process."),
    "stages": ("components.stages", "Embedder and detector by batch size against onnxruntime, OpenCV, float32 peak."),
    "gpu": ("components.gpu", "Embedder and detector on an NVIDIA GPU by batch size."),
    "gallery": ("components.gallery", "The vector index at 1,000 to 1,000,000 faces: milvus-lite and a Milvus server."),
    "autoscaling": (
        "load.autoscaling",
        "Replicas, queues, latency and 429s while the load steps up, bursts and falls.",
    ),
    "capacity": ("load.capacity", "Predictions of the capacity model for two loads against measurements."),
    "throughput": ("load.throughput", "Searches per second and latency under load, against other servers."),
    "quick": ("load.quick", "Searches per second in two minutes, on photographs that packages ship. Only when named."),
    "attack": ("load.attack", "Hostile inputs: stalls, memory, an ordinary client beside them. Only when named."),
    "soak": ("load.soak", "Memory of each process over thousands of mixed requests. Only when named."),
}
"""Name -> module below ``benchmarks`` with ``add_arguments`` and ``run``, and a summary."""

ONLY_WHEN_NAMED = frozenset({"quick", "attack", "soak"})


def command_line() -> argparse.ArgumentParser:
    """The parser of the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__, add_help=True)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    names = parser.add_subparsers(dest="name", title="benchmarks", metavar="NAME")
    for name, (module, summary) in BENCHMARKS.items():
        child = names.add_parser(name, help=summary, description=summary)
        child.add_argument(
            "--reference", action="store_true", help="write to the committed benchmarks/results, not to results/local"
        )
        importlib.import_module(f"benchmarks.{module}").add_arguments(child)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmarks of the command line; 1 if one of them lacked its data, else 0."""
    parser = command_line()
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, _stop)
    chosen = (
        [options] if options.name else [parser.parse_args([name]) for name in BENCHMARKS if name not in ONLY_WHEN_NAMED]
    )
    failed = False
    for one in chosen:
        module, summary = BENCHMARKS[one.name]
        print(f"== {one.name}: {summary}", flush=True)
        try:
            path = importlib.import_module(f"benchmarks.{module}").run(one)
        except DataMissing as error:
            print(f"Not run: {error}", file=sys.stderr)
            failed = True
        else:
            if path is not None:
                print(f"Written to {path}", flush=True)
    return int(failed)


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    """Turn SIGTERM into an exception, so that context managers stop the services that a benchmark started."""
    raise SystemExit(128 + number)


if __name__ == "__main__":
    raise SystemExit(main())
