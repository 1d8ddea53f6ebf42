"""The throughput comparison in about two minutes, on the photographs that packages ship: no data set is needed.

The service as shipped, a plain FastAPI server over the same pipeline, and the floor: :mod:`benchmarks.load.throughput`.
One person is enrolled, so the figures are of detection, embedding and serving; a large gallery adds its search.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks.load import throughput
from examples import photos

OPTIONS = ["--people", "1", "--pictures", "2", "--clients", "1", "16", "--seconds", "4", "--rounds", "1"]
CONTENDERS = ["--contenders", "shipped", "fastapi", "--rates"]  # without rates there is no open loop


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """None."""


def run(options: argparse.Namespace) -> Path:
    """Measure, print and write; the JSON file's path."""
    with tempfile.TemporaryDirectory(prefix="facegraph-benchmark-") as name:
        images = Path(name)
        photos.main(images / "pictures")
        for person, files in (("eileen", ("me1.jpg", "me2.jpg")), ("grace", ("grace.jpg",))):
            (images / person).mkdir()
            for file in files:
                (images / "pictures" / file).rename(images / person / file)
        (images / "pictures" / "group.jpg").unlink()
        (images / "pictures").rmdir()
        parser = argparse.ArgumentParser()
        throughput.add_arguments(parser)
        chosen = parser.parse_args(["--images", str(images), *OPTIONS, *CONTENDERS], options)
        return throughput.run(chosen)
