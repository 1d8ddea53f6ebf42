"""Can a covered face be told from its template? A linear probe on the embedding, trained on drawn occlusions.

Masks, sunglasses and hand-like patches are drawn over one photograph of each person (``occlusions.py``), which then
goes through detector and embedder again. Half of the people train a logistic regression of "covered"; on the other half
it is measured what share of the covered faces is missed when a given share of the untouched ones is flagged (false
alarms). The untouched ones are taken as they are: a few of them wear sunglasses or hold microphones.

Three probes: the template alone, the template with the detection score, the detection score alone.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from benchmarks.dataset import DEFAULT_IMAGES, read_people, thin
from benchmarks.inprocess import shipped_settings
from benchmarks.occlusion.patterns import KINDS, cover_face
from benchmarks.report import Report
from serve_app.domain import DetectedFace
from serve_app.settings import Settings
from serve_app.vision.face_reader import FaceReader, ReadFace
from serve_app.vision.image import encode_jpeg, read_image

FALSE_ALARMS = (0.01, 0.02, 0.05, 0.1)
CLEAN = "untouched"
RIDGE, ROUNDS = 0.3, 30

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Faces:
    """Untouched and covered faces, one of each kind for each person as far as it is still found.

    Attributes:
        kinds: ``untouched`` or one of :data:`benchmarks.occlusion.patterns.KINDS`, (n,).
        people: int (n,).
        templates: float (n, dimension).
        scores: of the detection, (n,).
    """

    kinds: NDArray[np.str_]
    people: NDArray[np.intp]
    templates: Floats
    scores: Floats

    def features(self, name: str) -> Floats:
        """What a probe sees: (n, k)."""
        score = np.stack([10 * (1 - self.scores), np.maximum(self.scores - 0.93, 0) * 30], axis=1)
        parts = {"template": [self.templates], "template and score": [self.templates, score], "score": [score]}
        return np.concatenate(parts[name], axis=1)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The benchmark's own options."""
    parser.add_argument("--images", type=Path, default=DEFAULT_IMAGES, help="a sub-folder of pictures for each person")
    parser.add_argument("--people", type=int, default=2000, help="at most so many people, one picture each")
    parser.add_argument("--seed", type=int, default=0, help="draws the occlusions and who trains")


def run(options: argparse.Namespace) -> Path:
    """Measure, print, write; the JSON file's path."""
    pictures = thin([pictures[0] for pictures in read_people(options.images).values()], options.people)
    settings = shipped_settings()
    reader = FaceReader(settings)
    report = Report(
        "occlusion",
        {
            "images": "LFW (shared/data/lfw/images)" if options.images == DEFAULT_IMAGES else options.images.name,
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
    """Every picture untouched and covered in each way; and how many faces were not found any more."""
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
    """Share of false alarms -> kind -> share of misses, on the people who do not train."""
    values, covered = faces.features(features), faces.kinds != CLEAN
    weights = np.where(covered, 1.0, float(len(KINDS)))
    probe = logistic(values[trains], covered[trains], weights[trains])
    odds = values @ probe[:-1] + probe[-1]
    found: dict[str, dict[str, float]] = {}
    for share in FALSE_ALARMS:
        threshold = np.quantile(odds[~trains & ~covered], 1 - share)
        missed = {kind: odds[~trains & (faces.kinds == kind)] < threshold for kind in KINDS}
        found[str(share)] = {kind: round(float(misses.mean()), 3) for kind, misses in missed.items()}
    return found


def logistic(values: Floats, truth: NDArray[np.bool_], weights: Floats) -> Floats:
    """Weights and, last, the intercept of a ridge logistic regression, by iteratively reweighted least squares."""
    rows = np.concatenate([values, np.ones((len(values), 1))], axis=1)
    ridge = np.diag([RIDGE] * values.shape[1] + [0.0])
    found = np.zeros(rows.shape[1])
    for _ in range(ROUNDS):
        chance = 1 / (1 + np.exp(-np.clip(rows @ found, -30, 30)))
        curvature = weights * np.maximum(chance * (1 - chance), 1e-6)
        step = rows.T @ (weights * (truth - chance)) - ridge @ found
        found = found + np.linalg.solve(rows.T @ (rows * curvature[:, None]) + ridge, step)
    return found
