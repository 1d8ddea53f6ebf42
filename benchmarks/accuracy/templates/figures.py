"""Figures of the benchmark ``accuracy``: measured, printed, plotted and made JSON-ready."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.accuracy import plots
from benchmarks.accuracy.templates import openset, verification
from benchmarks.accuracy.templates.photographs import Photographs
from benchmarks.common.report import Report
from benchmarks.common.statistics import wilson
from serve_app.score import fmr_to_score, fpir_to_fmr
from serve_app.vision.catalogue import ModelEntry
from serve_app.vision.fmr_statistics import Counting, Floats, Impostors, measure_anchors

GALLERIES = (100, 300, 1000, 3000)
ENROLLED = (2, 3, 5)
DRAWS = 10
MAIN_GALLERY = 1000


@dataclass(frozen=True, eq=False)
class Figures:
    """The measured figures.

    Attributes:
        content: of the JSON file.
        det: way of counting -> FMR and FNMR.
        matched: gallery size -> cumulative match curve.
    """

    content: dict[str, Any]
    det: dict[str, tuple[Floats, Floats]]
    matched: dict[int, Floats]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, rounded to five digits, below 0.001 to eight."""
        rounded: dict[str, Any] = _rounded(self.content)
        return rounded

    def plot(self, report: Report) -> None:
        """Plot the DET curve and the cumulative match curves."""
        plots.det(report.plot_path("-det"), self.det, self.content["verification"]["pictures"])
        plots.cumulative_match(report.plot_path("-cmc"), self.matched)


def measure(
    photographs: Photographs,
    entry: ModelEntry,
    pairs_file: Path | None,
    held_out: Collection[str],
    data: str,
    seed: int,
) -> Figures:
    """Measure all figures; each is printed when it is known.

    Args:
        entry: of the embedder.
        pairs_file: LFW's list; None draws pairs.
        held_out: people who are left out of the anchors.
        data: name of the data set in the anchors' description.
    """
    templates = photographs.templates
    detection = wilson(photographs.found, len(templates))
    print(f"{'a face found':>30}  {detection}")
    content: dict[str, Any] = {
        "model": entry.id,
        "people": templates.population,
        "pictures": len(templates),
        "detection_rate": asdict(detection),
        "ten_fold": _ten_fold(photographs, pairs_file, seed),
        "verification": {},
    }
    genuine = verification.Genuine(templates)
    det: dict[str, tuple[Floats, Floats]] = {}
    ways: tuple[Counting, ...] = ("pictures", "people")
    for counting in ways:
        impostors = Impostors(templates, counting)
        points = verification.operating_points(impostors, genuine, templates.population)
        content["verification"][counting] = {
            "genuine_pairs": len(genuine),
            "impostor_pairs": impostors.pairs,
            "points": [asdict(point) for point in points],
        }
        cosines, fmr = impostors.curve()
        det[counting] = (fmr, 1 - genuine.curve(cosines))
        for point in points:
            print(f"{'TAR at FMR':>22} {point.fmr:.0e}  {point.tar:.4f} at {point.cosine:.4f}, by {counting}")
    content["open_set"], matched = _open_set(photographs, entry, seed)
    content["several_pictures"] = _several_pictures(photographs, seed)
    measured = measure_anchors(photographs.without(held_out))
    content["anchors"] = {
        "cosines": {f"{fmr:.0e}": cosine for fmr, cosine in measured.cosines.items()},
        "data": measured.describe(data),
        "extrapolated": list(measured.extrapolated),
    }
    print(f"{'anchors':>30}  {content['anchors']['cosines']}")
    return Figures(content, det, matched)


def _ten_fold(photographs: Photographs, pairs_file: Path | None, seed: int) -> dict[str, Any]:
    if pairs_file:
        pairs = verification.read_pairs(pairs_file, photographs.people, photographs.positions())
    else:
        pairs = verification.draw_pairs(photographs.templates.people, seed)
    result = verification.ten_fold(photographs.templates, pairs)
    print(f"{'ten-fold accuracy':>30}  {result.mean:.4f} +- {result.deviation:.4f}, {result.errors} errors")
    return {"pairs_from": pairs_file.name if pairs_file else "drawn", **asdict(result)}


def _open_set(photographs: Photographs, entry: ModelEntry, seed: int) -> tuple[dict[str, Any], dict[int, Floats]]:
    templates, calibration = photographs.templates, entry.calibration()
    found: dict[str, Any] = {}
    matched = {}
    for size in (size for size in GALLERIES if size < templates.population):
        draws = _draws(photographs, size, seed)
        matched[size] = openset.cumulative_match(draws)
        default = calibration.cosine(fmr_to_score(fpir_to_fmr(0.01, size)))
        found[str(size)] = {
            "draws": len(draws),
            "probes": len(draws[0].genuine),
            "strangers": len(draws[0].strangers),
            "rank_1": float(matched[size][0]),
            "at_fpir": openset.rates(draws),
            "at_the_default_threshold": {
                "cosine": default,
                "fpir": float(np.mean([one.fpir(default) for one in draws])),
                "fnir": float(np.mean([one.fnir(default) for one in draws])),
            },
        }
        print(f"{'gallery of':>25} {size:4}  {_rounded(found[str(size)])}")
    return found, matched


def _several_pictures(photographs: Photographs, seed: int) -> dict[str, Any]:
    """All fusions on the same people: those with at least one image more than the largest number enrolled."""
    enough = np.bincount(photographs.templates.people) > max(ENROLLED)
    size = min(MAIN_GALLERY, int(enough.sum()), len(enough) - 1)  # one person at least is a stranger
    if size < 2:
        return {}
    found: dict[str, Any] = {"gallery": size}
    fusions: tuple[openset.Fusion, ...] = ("best", "mean", "quality")
    for count in (1, *ENROLLED):
        ways = fusions if count > 1 else fusions[:1]
        found[str(count)] = {way: openset.rates(_draws(photographs, size, seed, count, way)) for way in ways}
        print(f"{'images enrolled':>26} {count:3}  {_rounded(found[str(count)])}")
    return found


def _draws(
    photographs: Photographs, size: int, seed: int, count: int = 1, fusion: openset.Fusion = "best"
) -> Sequence[openset.Searches]:
    return [
        openset.search(photographs.templates, photographs.quality, size, seed + draw, count, fusion)
        for draw in range(DRAWS)
    ]


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(one) for one in value]
    return round(value, 8 if abs(value) < 1e-3 else 5) if isinstance(value, float) else value
