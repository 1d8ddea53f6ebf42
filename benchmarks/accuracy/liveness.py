"""Liveness: APCER, BPCER and ACER by group and by set of models, on folders of live and attack images.

A folder holds ``live`` (bona fide presentations; the names ``bona_fide``, ``bonafide``, ``genuine`` and ``real`` are
understood too) and one sub-folder with any other name for each kind of attack (``print``, ``replay``). Or it holds
several such folders, one for each group (a camera, a data set). The service's own steps are measured: the image is
decoded once, and each model's crop is cut from those pixels.

    APCER   share of attacks of one kind that are accepted as live; of a group: the worst kind's (ISO/IEC 30107-3)
    BPCER   share of live people who are rejected
    ACER    mean of the two

Only images that ``/v1/liveness`` decides on count: those with a face that is neither too small nor cut off. The others
are listed (``undecided``), since the service rejects them independently of what they show; ``every_face`` counts them
too. A folder without groups is also divided by the images' size, which tells webcams from phones.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track

from benchmarks.accuracy import plots
from benchmarks.common.dataset import DataMissing, images_in
from benchmarks.common.machine import ROOT
from benchmarks.common.models import open_analyser, shipped_settings
from benchmarks.common.report import Report
from benchmarks.common.statistics import error_rate
from serve_app.domain import DetectOptions
from serve_app.service.face_checks import LIVENESS_UNUSABLE
from serve_app.settings import Settings
from serve_app.vision.image import encode_jpeg, read_image
from serve_app.vision.liveness_ensemble import LivenessEnsemble, open_ensemble

DEFAULT_IMAGES = ROOT.parent / "shared" / "data" / "liveness"
LIVE_NAMES = frozenset({"live", "bona_fide", "bonafide", "genuine", "real"})
LIVE = "live"
THRESHOLDS = np.round(np.arange(0.05, 1.0, 0.01), 2)


@dataclass(frozen=True)
class Presentation:
    """One image and the models' probabilities for it.

    Attributes:
        group: a camera or data set.
        kind: ``live``, or the kind of attack.
        size: class of the image's size, as text.
        votes: model -> probability of a live person.
        codes: quality codes because of which the service does not decide.
    """

    group: str
    kind: str
    size: str
    votes: dict[str, float]
    codes: frozenset[str] = frozenset()

    def probability(self, models: Iterable[str]) -> float:
        """The mean probability of a live person over these models."""
        return float(np.mean([self.votes[model] for model in models]))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The benchmark's own options."""
    parser.add_argument("--images", type=Path, default=DEFAULT_IMAGES, help="a folder with live and kinds of attacks")
    parser.add_argument("--threshold", type=float, help="probability from which a face is live [default: the setting]")
    parser.add_argument("--recompress", type=int, metavar="QUALITY", help="send JPEG copies of this quality instead")


def run(options: argparse.Namespace) -> Path:
    """Measure, print and write; the JSON file's path."""
    pictures = read_presentations(options.images)
    settings = shipped_settings()
    threshold = settings.liveness.threshold if options.threshold is None else options.threshold
    ensemble, missing = open_ensemble(settings)
    if ensemble is None:
        raise DataMissing(f"All liveness models are missing: {', '.join(missing)}. Run 'facegraph models pull'.")
    report = Report(
        "liveness",
        {
            "images": "shared/data/liveness" if options.images == DEFAULT_IMAGES else options.images.name,
            "threshold": threshold,
            "models": list(ensemble.models),
            "missing": list(missing),
            "recompress": options.recompress,
        },
        reference=options.reference,
    )
    every, undecided = judge(pictures, settings, ensemble, options.recompress)
    seen = [item for item in every if not item.codes]
    one_group = len({item.group for item in seen}) == 1
    groups = {"all": seen, **_by(seen, lambda item: item.size if one_group else item.group), "every_face": every}
    figures = {name: errors(items, ensemble.models, threshold) for name, items in groups.items()}
    for name, found in figures.items():
        print(f"{name:12} {_line(found)}")
    alone = {" + ".join(models): errors(seen, models, threshold) for models in subsets(ensemble.models)}
    for name, found in alone.items():
        print(f"{name:44} {_line(found)}")
    curve = [{"threshold": float(at), **_rates(errors(seen, ensemble.models, float(at)))} for at in THRESHOLDS]
    kinds = sorted(_by(seen, lambda item: item.kind).items(), key=lambda entry: entry[0] != LIVE)  # stable
    probabilities = {kind: [item.probability(ensemble.models) for item in items] for kind, items in kinds}
    plots.liveness(report.plot_path(), probabilities, curve, threshold)
    return report.write({"groups": figures, "model_subsets": alone, "by_threshold": curve, "undecided": undecided})


def read_presentations(folder: Path) -> list[tuple[str, str, Path]]:
    """(group, kind, path) of every image.

    Raises:
        DataMissing: the folder does not exist, or no folder of live images is in it.
    """
    if not folder.is_dir():
        raise DataMissing(f"No folder of images at {folder}: name one with --images (live, and kinds of attacks).")
    parts = [folder] if _live_folder(folder) else [child for child in sorted(folder.iterdir()) if child.is_dir()]
    groups = [part for part in parts if _live_folder(part)]
    if not groups:
        raise DataMissing(
            f"{folder} has no sub-folder named {' or '.join(sorted(LIVE_NAMES))}, nor do its sub-folders."
        )
    found = []
    for group in groups:
        for kind in sorted(child for child in group.iterdir() if child.is_dir()):
            name = LIVE if kind.name.lower() in LIVE_NAMES else kind.name
            found += [(group.name, name, path) for path in images_in(kind, "**/*")]
    return found


def _live_folder(folder: Path) -> bool:
    return any(child.is_dir() and child.name.lower() in LIVE_NAMES for child in folder.iterdir())


def judge(
    pictures: Sequence[tuple[str, str, Path]],
    settings: Settings,
    ensemble: LivenessEnsemble,
    recompress: int | None = None,
) -> tuple[list[Presentation], list[dict[str, str]]]:
    """The models' probabilities for the largest face of each image; the images that the service does not decide on.

    Args:
        pictures: group, kind and path of each.
        recompress: JPEG quality of the copies that are judged instead; None judges the images themselves.
    """
    analyser = open_analyser(settings, ensemble.models)
    seen, undecided = [], []
    for group, kind, path in track(pictures, description="Judging"):
        image = path.read_bytes()
        if recompress is not None:
            image = encode_jpeg(read_image(image, settings.limits)[1], quality=recompress)
        detection = analyser.analyse(image, DetectOptions(max_faces=1, liveness=True))
        codes = detection.faces[0].quality.codes & LIVENESS_UNUSABLE if detection.faces else {"FACE_NOT_FOUND"}
        if codes:
            undecided.append({"kind": kind, "picture": path.name, "codes": ", ".join(sorted(codes))})
        if not detection.faces:
            continue
        (votes,) = ensemble.probabilities([detection.faces[0].liveness_crops])
        size = f"{detection.image.width}x{detection.image.height}"
        seen.append(
            Presentation(group, kind, "640x480" if size == "640x480" else "other sizes", votes, frozenset(codes))
        )
    return seen, undecided


def errors(items: Sequence[Presentation], models: Sequence[str], threshold: float) -> dict[str, Any]:
    """BPCER, APCER of each kind and of the worst, ACER; rates without images are left out."""
    found: dict[str, Any] = {}
    by_kind = _by(items, lambda item: item.kind)
    live = by_kind.pop(LIVE, [])
    if live:
        refused = sum(item.probability(models) < threshold for item in live)
        found["bpcer"] = error_rate(refused, len(live))
    if by_kind:
        accepted = {kind: sum(i.probability(models) >= threshold for i in its) for kind, its in by_kind.items()}
        found["apcer_by_kind"] = {kind: error_rate(accepted[kind], len(its)) for kind, its in by_kind.items()}
        found["apcer"] = max(share["value"] for share in found["apcer_by_kind"].values())
        attacks = sum(len(its) for its in by_kind.values())
        found["apcer_over_all_attacks"] = error_rate(sum(accepted.values()), attacks)
    if live and by_kind:
        found["acer"] = round((found["bpcer"]["value"] + found["apcer"]) / 2, 4)
    return found


def _rates(found: dict[str, Any]) -> dict[str, float]:
    rates = {kind: share["value"] for kind, share in found.get("apcer_by_kind", {}).items()}
    whole = {"apcer_over_all_attacks": found["apcer_over_all_attacks"]["value"]} if rates else {}
    return {"bpcer": found["bpcer"]["value"], **{f"apcer_{kind}": rate for kind, rate in rates.items()}, **whole}


def _line(found: dict[str, Any]) -> str:
    parts = [f"BPCER {found['bpcer']['value']:.3f} of {found['bpcer']['of']}"] if "bpcer" in found else []
    for kind, share in found.get("apcer_by_kind", {}).items():
        parts.append(f"APCER {kind} {share['value']:.3f} of {share['of']}")
    return "  ".join([*parts, *([f"ACER {found['acer']:.3f}"] if "acer" in found else [])])


def subsets(models: Sequence[str]) -> list[tuple[str, ...]]:
    """All sets of models with which the service can run, the smallest first."""
    return [chosen for size in range(1, len(models) + 1) for chosen in itertools.combinations(models, size)]


def _by(items: Iterable[Presentation], key: Callable[[Presentation], str]) -> dict[str, list[Presentation]]:
    found: dict[str, list[Presentation]] = {}
    for item in items:
        found.setdefault(key(item), []).append(item)
    return dict(sorted(found.items()))
