"""Quality against false non-matches (the error-versus-reject curve), and error rates of the quality codes.

**Error versus reject** (Grother and Tabassi, "Performance of biometric quality measures", IEEE TPAMI 2007): all
pairs of images of the same person are ordered by the lower quality of the two; the curve is the share of misses (FNMR
at a fixed FMR) among the pairs that are left when the worst are rejected. It falls steeply for a useful measure and
stays level for a useless one. ``quality`` is compared with single measures and a random order. A second figure is the
FNMR of pairs by their lower quality.

**Codes**: images are changed so that their fault is known (cut off at the border, turned, made small, blurred). False
alarms are counted on images without the fault, misses on those with it.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from benchmarks.accuracy import plots
from benchmarks.accuracy.quality.faults import FAULTS, fault_rates
from benchmarks.accuracy.quality.weights import burdens_of, fit, spoiled_pairs
from benchmarks.common.dataset import add_images_option, describe, read_people, thin
from benchmarks.common.models import shipped_settings
from benchmarks.common.report import Report
from benchmarks.common.statistics import Floats
from serve_app.domain import DetectedFace
from serve_app.score import fmr_to_score
from serve_app.settings import Settings
from serve_app.vision.face_reader import FaceReader

FMRS = (1e-4, 1e-6)
REJECTED = tuple(round(share / 100, 2) for share in range(41))
BINS = (0.0, 0.2, 0.4, 0.6, 0.7, 0.8, 0.9, 1.0)
MOST_PAIRS = 30
"""Pairs of one person, so that no person with hundreds of images dominates."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of images of one person.

    Attributes:
        rows: int (n, 2): rows of the two images.
        cosines: (n,).
    """

    rows: NDArray[np.intp]
    cosines: Floats

    def lower(self, measure: Floats) -> Floats:
        """The lower of each pair's two values of a measure (higher is better), (n,)."""
        return np.asarray(measure[self.rows].min(axis=1), np.float64)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The benchmark's own options."""
    add_images_option(parser)
    parser.add_argument("--pictures", type=int, default=8, help="at most this many images of each person")
    parser.add_argument("--limit", type=int, help="at most this many people, for a quick run")
    parser.add_argument("--changed", type=int, default=400, help="images that are changed for each code")
    parser.add_argument("--fit", action="store_true", help="also fit the weights of vision/quality.py again")


def run(options: argparse.Namespace) -> Path:
    """Measure, print and write; the JSON file's path."""
    all_people = read_people(options.images)
    names = thin([name for name, pictures in all_people.items() if len(pictures) > 1], options.limit)
    people = {name: all_people[name][: options.pictures] for name in names}
    settings = shipped_settings()
    reader = FaceReader(settings)
    report = Report(
        "quality",
        {
            "images": describe(options.images),
            "people": len(people),
            "pictures_of_each": options.pictures,
            "changed": options.changed,
            "detector": f"{settings.detector.model}, long side {settings.detector.input_side}",
            "embedder": reader.entry.id,
        },
        reference=options.reference,
    )
    faces, templates, owners = read(people, reader)
    pairs = genuine(templates, owners)
    measures = measures_of(faces)
    calibration = reader.entry.calibration()
    curves: dict[str, Any] = {}
    for fmr in FMRS:
        missed = pairs.cosines < calibration.cosine(fmr_to_score(fmr))
        curves[f"{fmr:.0e}"] = {name: rejection_curve(pairs.lower(m), missed) for name, m in measures.items()}
    threshold = calibration.cosine(fmr_to_score(FMRS[0]))
    levels = by_level(pairs.lower(measures["quality"]), pairs.cosines < threshold)
    shown = curves[f"{FMRS[0]:.0e}"]
    for name, curve in shown.items():
        points = [f"{share:.0%}: {curve[REJECTED.index(share)]:.4f}" for share in (0, 0.05, 0.1, 0.2)]
        print(f"{name:16} {'  '.join(points)}")
    for level in levels:
        print(f"quality {level['from']:.1f} to {level['to']:.1f}: {level['fnmr']} of {level['pairs']}")
    sample = thin([path for pictures in all_people.values() for path in pictures[:1]], options.changed)
    codes = fault_rates(sample, settings)
    for code, rates in codes.items():
        print(f"{code:22} false alarms {rates['false_alarms']}  misses {rates['misses']}")
    weights: dict[str, Any] = {}
    if options.fit:
        weights = fitted(people, reader, settings, burdens_of(faces)[pairs.rows].sum(axis=1), pairs.cosines, threshold)
        print(f"INTERCEPT {weights['intercept']:.4f}  WEIGHTS {weights['weights']}")
    plots.quality(report.plot_path(), REJECTED, shown, levels)
    quality = measures["quality"]
    return report.write(
        {
            "faces": len(faces),
            "pairs": len(pairs.cosines),
            "quality_quantiles": {
                str(q): round(float(np.quantile(quality, q)), 4) for q in (0.01, 0.05, 0.25, 0.5, 0.95)
            },
            "rejected": list(REJECTED),
            "fnmr_by_rejected": curves,
            "fnmr_by_quality": levels,
            "codes": codes,
            **weights,
            "changes": {code: fault.__doc__ for code, fault in FAULTS.items()},
        }
    )


def fitted(
    people: Mapping[str, Sequence[Path]],
    reader: FaceReader,
    settings: Settings,
    burdens: Floats,
    cosines: Floats,
    threshold: float,
) -> dict[str, Any]:
    """Intercept and weights from these pairs and at most 1,200 spoiled ones."""
    chosen = {name: people[name] for name in thin(list(people), 1200)}
    spoiled, spoiled_cosines = spoiled_pairs(chosen, reader, settings.limits)
    missed = np.concatenate([cosines, spoiled_cosines]) < threshold
    intercept, weights = fit(np.concatenate([burdens, spoiled]), missed)
    return {"intercept": round(intercept, 4), "weights": [round(float(weight), 4) for weight in weights]}


def read(
    people: Mapping[str, Sequence[Path]], reader: FaceReader
) -> tuple[list[DetectedFace], NDArray[np.float32], NDArray[np.intp]]:
    """The central faces of all images, their templates (n, dimension), and the numbers of their people (n,)."""
    found = [
        (number, one)
        for number, pictures in enumerate(track(list(people.values()), description="Embedding"))
        for picture in pictures
        if (one := reader.central(picture.read_bytes())) is not None
    ]
    templates = np.stack([one.template for _, one in found])
    return [one.face for _, one in found], templates, np.array([number for number, _ in found])


def genuine(templates: NDArray[np.float32], owners: NDArray[np.intp], seed: int = 0) -> Pairs:
    """The pairs of images of one person, at most :data:`MOST_PAIRS` of each."""
    random = np.random.default_rng(seed)
    rows: list[NDArray[np.intp]] = []
    for owner in np.unique(owners):
        mine = np.flatnonzero(owners == owner)
        pairs = np.stack(np.triu_indices(len(mine), 1), axis=1)
        if len(pairs) > MOST_PAIRS:
            pairs = pairs[random.choice(len(pairs), MOST_PAIRS, replace=False)]
        rows.append(mine[pairs])
    chosen = np.concatenate(rows)
    return Pairs(chosen, np.einsum("nd,nd->n", templates[chosen[:, 0]], templates[chosen[:, 1]]).astype(np.float64))


def measures_of(faces: Sequence[DetectedFace]) -> dict[str, Floats]:
    """Measures by which faces can be ordered, (n,) each; higher is better."""
    found = {
        "quality": [face.quality.value for face in faces],
        "detection score": [face.detection_score for face in faces],
        "sharpness": [face.quality.sharpness for face in faces],
        "frontal": [-max(abs(face.quality.yaw), abs(face.quality.roll)) for face in faces],
        "random": np.random.default_rng(0).random(len(faces)),
    }
    return {name: np.asarray(values, np.float64) for name, values in found.items()}


def rejection_curve(lower: Floats, missed: NDArray[np.bool_]) -> list[float]:
    """The share of misses among the pairs left when the lowest are rejected, for each share in :data:`REJECTED`."""
    order = np.argsort(lower, kind="stable")
    return [round(float(missed[order[int(share * len(order)) :]].mean()), 5) for share in REJECTED]


def by_level(lower: Floats, missed: NDArray[np.bool_]) -> list[dict[str, Any]]:
    """Number and share of misses of the pairs by their lower quality, in the intervals of :data:`BINS`."""
    levels = []
    for low, high in itertools.pairwise(BINS):
        here = (lower >= low) & (lower < high)
        share = round(float(missed[here].mean()), 4) if here.any() else None
        levels.append({"from": low, "to": high, "pairs": int(here.sum()), "fnmr": share})
    return levels
