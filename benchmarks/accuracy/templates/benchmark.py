"""Error rates of template comparison, one-to-one and one-to-many, on any folder of images.

In one process, with the service's own code and settings; ``benchmarks/accuracy/identification.py`` measures through
HTTP. Each image gives one template, that of the face nearest to its centre.

    ten-fold         accuracy in LFW's protocol (its pairs.txt beside the folder, else pairs drawn as it draws them)
    verification     TAR at FMR 1e-2 to 1e-6 over all pairs of images, counted by images and by people
    open set         FNIR at FPIR 1 % and 0.1 % by gallery size, one image enrolled for each person
    several images   the same with more images per person: the most similar one, their mean, their mean by quality
    anchors          what 'facegraph models calibrate --report' puts into the model's entry
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.accuracy.templates.figures import measure
from benchmarks.accuracy.templates.photographs import read
from benchmarks.common.dataset import DEFAULT_IMAGES, add_images_option, describe, read_people, split
from benchmarks.common.models import shipped_settings
from benchmarks.common.report import Report
from serve_app.vision.catalogue import Catalogue
from serve_app.vision.face_reader import FaceReader


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The benchmark's own options."""
    add_images_option(parser)
    parser.add_argument("--pairs", type=Path, help="LFW's list of pairs [default: pairs.txt beside the folder]")
    parser.add_argument("--model", help="an embedder of the catalogue [default: the service's]")
    parser.add_argument("--people", type=int, default=1000, help="people that the identification benchmark enrols")
    parser.add_argument("--seed", type=int, default=1, help="of the draw of these people, of galleries and pairs")


def run(options: argparse.Namespace) -> Path:
    """Measure, print and write; the JSON file's path."""
    people = read_people(options.images)
    settings = shipped_settings()
    model = options.model or settings.embedder.model
    reader = FaceReader(settings, Catalogue.load().get(model))
    report = Report(
        "accuracy" if model == settings.embedder.model else f"accuracy-{model}",
        {
            "images": describe(options.images),
            "seed": options.seed,
            "detector": f"{settings.detector.model}, long side {settings.detector.input_side}",
            "embedder": model,
        },
        reference=options.reference,
    )
    photographs = read(people, reader)
    pairs = options.pairs or options.images.parent / "pairs.txt"
    # The anchors are measured on people whom the identification benchmark does not enrol: its draw is repeated here.
    held_out = frozenset(split(people, options.people, options.seed).enrolled) if len(people) > options.people else ()
    data = "LFW, deep-funneled" if options.images == DEFAULT_IMAGES else options.images.name
    figures = measure(photographs, reader.entry, pairs if pairs.is_file() else None, held_out, data, options.seed)
    figures.plot(report)
    return report.write(figures.as_dict())
