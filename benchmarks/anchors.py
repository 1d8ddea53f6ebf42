"""Anchors of the calibrated score: the embedder's cosines at known false-match rates, on one's own photographs.

One picture of each person (the first by name, its face nearest to the centre), every pair of different people once: so
each pair of people weighs the same, as it does for a stranger before a gallery. Over all pictures instead, people with
many pictures would weigh more.

People whom the identification benchmark enrols are left out, so that its searches are not measured against a scale
that was made on the same comparisons. The last decades of FMR rest on few pairs; those with fewer than ten are not
given. What is printed goes into the embedder's entry in ``models/``.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from benchmarks.dataset import DEFAULT_IMAGES, read_people, split
from benchmarks.inprocess import shipped_settings
from benchmarks.report import Report
from serve_app.domain import DetectedFace, Detection, DetectOptions
from serve_app.score import fmr_to_score
from serve_app.vision.analyser import FaceAnalyser
from serve_app.vision.catalogue import Catalogue
from serve_app.vision.embedding import FaceEmbedder
from serve_app.vision.files import ModelFiles
from serve_app.vision.session import open_session

RATES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7)
FEWEST_PAIRS = 10
"""Pairs above the cosine, below which an anchor is not worth giving."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The benchmark's own options."""
    parser.add_argument("--images", type=Path, default=DEFAULT_IMAGES, help="a sub-folder of pictures for each person")
    parser.add_argument("--people", type=int, default=1000, help="people that the identification benchmark enrols")
    parser.add_argument("--seed", type=int, default=1, help="draws them")
    parser.add_argument("--everybody", action="store_true", help="also the people who are enrolled there")


def run(options: argparse.Namespace) -> Path:
    """Measure, print, write; the JSON file's path."""
    chosen = split(read_people(options.images), options.people, options.seed)
    pictures = [*chosen.strangers.values(), *(chosen.enrolled.values() if options.everybody else ())]
    settings = shipped_settings()
    report = Report(
        "anchors",
        {
            "images": str(options.images.name if options.images != DEFAULT_IMAGES else "LFW (shared/data/lfw/images)"),
            "people": len(pictures),
            "left_out": 0 if options.everybody else len(chosen.enrolled),
            "seed": options.seed,
            "detector": f"{settings.detector.model}, long side {settings.detector.input_side}",
            "embedder": settings.embedder.model,
        },
        reference=options.reference,
    )
    templates = central_templates(pictures)
    cosines = impostor_cosines(templates)
    figures = anchors(cosines)
    entry = Catalogue.load().get(settings.embedder.model)
    held = entry.anchors.cosines if entry.anchors else {}
    for rate, cosine in figures.items():
        in_catalogue = next((value for known, value in held.items() if math.isclose(known, rate)), None)
        print(f"FMR {rate:.0e}  score {fmr_to_score(rate):.2f}  cosine {cosine:.4f}  in the catalogue {in_catalogue}")
    return report.write(
        {
            "templates": len(templates),
            "impostor_pairs": len(cosines),
            "cosine_at_fmr": {f"{rate:.0e}": round(cosine, 4) for rate, cosine in figures.items()},
            "interval_95": {
                f"{rate:.0e}": [round(value, 4) for value in interval(templates, rate)] for rate in figures
            },
            "in_the_catalogue": {f"{rate:.0e}": cosine for rate, cosine in held.items()},
        }
    )


def central_templates(pictures: Sequence[Path]) -> NDArray[np.float32]:
    """The template of each picture's most central face; pictures without a face are left out."""
    settings, catalogue = shipped_settings(), Catalogue.load()
    files = ModelFiles(settings.model_dir, settings.model_cache_dir)
    detector, embedder = catalogue.get(settings.detector.model), catalogue.get(settings.embedder.model)
    analyser = FaceAnalyser(
        open_session(files, detector, settings.detector.inference), settings.detector, settings.limits
    )
    model = FaceEmbedder(open_session(files, embedder, settings.embedder.inference), embedder)
    templates = []
    for picture in track(pictures, description="Embedding"):
        detection = analyser.analyse(picture.read_bytes(), DetectOptions())
        if detection.faces:
            templates.append(model.embed(central_face(detection).crop[None])[0])
    return np.stack(templates)


def central_face(detection: Detection) -> DetectedFace:
    """The face whose box's centre is nearest to the picture's."""
    width, height = detection.image.width, detection.image.height

    def distance(face: DetectedFace) -> float:
        box = face.box
        return math.hypot(box.x + box.width / 2 - width / 2, box.y + box.height / 2 - height / 2)

    return min(detection.faces, key=distance)


def impostor_cosines(templates: NDArray[np.float32]) -> NDArray[np.float32]:
    """The cosines of all pairs of rows, each pair once."""
    pairs: NDArray[np.float32] = (templates @ templates.T)[np.triu_indices(len(templates), 1)]
    return pairs


def anchors(cosines: NDArray[Any]) -> dict[float, float]:
    """FMR -> the cosine that so many of these pairs reach, as far as there are pairs enough."""
    given = [rate for rate in RATES if rate * len(cosines) >= FEWEST_PAIRS]
    return {rate: float(np.quantile(cosines, 1 - rate)) for rate in given}


def interval(templates: NDArray[np.float32], rate: float, resamples: int = 50, seed: int = 0) -> tuple[float, float]:
    """95 % of a percentile bootstrap over people; pairs of a person with the same person again are left out."""
    random = np.random.default_rng(seed)
    found = []
    for _ in range(resamples):
        counts = np.bincount(random.integers(0, len(templates), len(templates)), minlength=len(templates))
        some = templates[np.flatnonzero(counts)]
        found.append(np.quantile(impostor_cosines(some), 1 - rate))
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)
