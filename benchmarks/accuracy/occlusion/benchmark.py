"""Detecting covered faces by a linear classifier of their templates, trained on drawn occlusions.

Masks, sunglasses and hand-like patches are drawn over one photograph of each person (``patterns.py``), which is then
detected and embedded again. Half of the people train a logistic regression of "covered"; on the other half the share of
covered faces that are missed is measured at given shares of flagged untouched ones (false alarms). The untouched ones
are not checked: a few of them wear sunglasses or hold microphones.

Three inputs: the template alone, the template with the detection score, the detection score alone.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from benchmarks.accuracy.occlusion.patterns import KINDS, cover_face
from benchmarks.common.dataset import add_images_option, describe, read_people, thin
from benchmarks.common.models import shipped_settings
from benchmarks.common.report import Report
from benchmarks.common.statistics import Floats, logistic
from serve_app.domain import DetectedFace
from serve_app.settings import Settings
from serve_app.vision.face_reader import FaceReader, ReadFace
from serve_app.vision.image import encode_jpeg, read_image

FALSE_ALARMS = (0.01, 0.02, 0.05, 0.1)
CLEAN = "untouched"
RIDGE = 0.3


@dataclass(frozen=True, eq=False)
class Faces:
    """Untouched and covered faces, one of each kind for each person, without those that are no longer found.

    Attributes:
        kinds: (n,), ``untouched`` or one of :data:`benchmarks.accuracy.occlusion.patterns.KINDS`.
        people: int (n,), number of the person.
        templates: float64 (n, dimension).
        scores: float64 (n,), of the detection.
    """

    kinds: NDArray[np.str_]
    people: NDArray[np.intp]
    templates: Floats
    scores: Floats

    def features(self, name: str) -> Floats:
        """The inputs of a classifier, (n, k)."""
        score = np.stack([10 * (1 - self.scores), np.maximum(self.scores - 0.93, 0) * 30], axis=1)
        parts = {"template": [self.templates], "template and score": [self.templates, score], "score": [score]}
        return np.concatenate(parts[name], axis=1)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The benchmark's own options."""
    add_images_option(parser)
    parser.add_argument("--people", type=int, default=2000, help="at most this many people, one image each")
    parser.add_argument("--seed", type=int, default=0, help="of the draw of occlusions and of the people who train")


def run(options: argparse.Namespace) -> Path:
    """Measure, print and write; the JSON file's path."""
    pictures = thin([pictures[0] for pictures in read_people(options.images).values()], options.people)
    settings = shipped_settings()
    reader = FaceReader(settings)
    report = Report(
        "occlusion",
        {
            "images": describe(options.images),
            "people": len(pictures),
            "seed": options.seed,
            "embedder": reader.entry.id,
        },
        reference=options.reference,
    )
    faces, lost = read(pictures, reader, settings, options.seed)
    trains = np.random.default_rng(options.seed).permutation(len(pictures)) < len(pictures) // 2
    probes = {name: measure(faces, name, trains[faces.people]) for name in ("template", "template and score", "score")}
    for name, misses in probes.items():
        for share, by_kind in misses.items():
            print(f"{name:20} false alarms {share:4}  misses {by_kind}")
    counts = {kind: int((faces.kinds == kind).sum()) for kind in (CLEAN, *KINDS)}
    return report.write({"faces": counts, "not_found_any_more": lost, "misses_by_false_alarms": probes})


def read(pictures: list[Path], reader: FaceReader, settings: Settings, seed: int) -> tuple[Faces, dict[str, int]]:
    """The faces of all images, untouched and covered in each way; kind -> number of faces that were no longer found."""
    random = np.random.default_rng(seed)
    found: list[tuple[str, int, ReadFace]] = []
    lost = dict.fromkeys(KINDS, 0)
    for number, path in enumerate(track(pictures, description="Covering")):
        content = path.read_bytes()
        clean = reader.central(content)
        if clean is None:
            continue
        found.append((CLEAN, number, clean))
        pixels = read_image(content, settings.limits)[1]
        for kind in KINDS:
            covered = cover_face(pixels, clean.face.landmarks, clean.face.crop, kind, random)
            again = reader.central(encode_jpeg(covered))
            if again is None or not _same_place(again.face, clean.face):
                lost[kind] += 1
            else:
                found.append((kind, number, again))
    return (
        Faces(
            kinds=np.array([kind for kind, _, _ in found]),
            people=np.array([number for _, number, _ in found]),
            templates=np.stack([one.template for _, _, one in found]).astype(np.float64),
            scores=np.array([one.face.detection_score for _, _, one in found]),
        ),
        lost,
    )


def _same_place(face: DetectedFace, before: DetectedFace) -> bool:
    a, b = face.box, before.box
    aside, above = a.x + a.width / 2 - b.x - b.width / 2, a.y + a.height / 2 - b.y - b.height / 2
    return math.hypot(aside, above) < b.width / 2


def measure(faces: Faces, features: str, trains: NDArray[np.bool_]) -> dict[str, dict[str, float]]:
    """Share of false alarms -> kind -> share of misses, on the people who do not train.

    Args:
        features: name of the inputs, see :meth:`Faces.features`.
        trains: (n,), whether a face is one of the training people.
    """
    values, covered = faces.features(features), faces.kinds != CLEAN
    weights = np.where(covered, 1.0, float(len(KINDS)))
    probe = logistic(values[trains], covered[trains], weights[trains], RIDGE)
    odds = values @ probe[:-1] + probe[-1]
    found: dict[str, dict[str, float]] = {}
    for share in FALSE_ALARMS:
        threshold = np.quantile(odds[~trains & ~covered], 1 - share)
        missed = {kind: odds[~trains & (faces.kinds == kind)] < threshold for kind in KINDS}
        found[str(share)] = {kind: round(float(misses.mean()), 3) for kind, misses in missed.items()}
    return found
