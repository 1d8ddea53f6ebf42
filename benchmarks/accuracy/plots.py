"""Plots of the accuracy benchmarks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.plotting import BLUE, GREY, ORANGE, pair, panels, save, with_grid, with_legend
from benchmarks.common.statistics import Floats


def identification(
    path: Path, enrolled: Sequence[float], strangers: Sequence[float], used: float, curve: tuple[Floats, Floats, Floats]
) -> None:
    """Best scores of enrolled people (where the right one is best) and of strangers; FNIR over FPIR.

    Args:
        used: the service's default threshold.
        curve: thresholds, FPIR and FNIR at each.
    """
    figure, (left, right) = pair()
    bins = np.linspace(0.4, 1.0, 61).tolist()
    for scores, colour, label in (
        (enrolled, BLUE, f"enrolled, right person best ({len(enrolled):,})"),
        (strangers, ORANGE, f"strangers, any person best ({len(strangers):,})"),
    ):
        left.hist(scores, bins, density=True, color=colour, alpha=0.6, label=label)
    left.set_xlim(0.45, 1.0)
    left.axvline(used, color=GREY, linestyle="--", label=f"default threshold {used:.3f}")
    left.set(xlabel="score of the best match", ylabel="density")
    with_legend(left, loc="upper left")
    thresholds, fpir, fnir = curve
    right.plot(fpir, fnir, color=BLUE)
    at = int(np.argmin(np.abs(thresholds - used)))
    right.plot(fpir[at], fnir[at], "o", color=GREY, label=f"default: FPIR {fpir[at]:.3f}, FNIR {fnir[at]:.3f}")
    right.set(xscale="log", xlim=(1e-3, 1), ylim=(0, max(0.02, 3 * fnir[at])), xlabel="FPIR", ylabel="FNIR (rank 1)")
    with_grid(right)
    with_legend(right)
    save(figure, path)


def det(path: Path, curves: Mapping[str, tuple[Floats, Floats]], measured: Mapping[str, Any]) -> None:
    """Detection error trade-off: FNMR over FMR, both logarithmic, with the operating points and their intervals."""
    figure, axes = panels(size=(6, 5))
    for (name, (fmr, fnmr)), colour in zip(curves.items(), (BLUE, ORANGE), strict=False):
        seen = (fmr > 0) & (fnmr > 0)
        # A step for each bin of the cosine is more than a plot can show.
        axes.plot(fmr[seen][::20], fnmr[seen][::20], color=colour, label=f"FMR counted by {name}")
    points = measured["points"]
    if points:
        fnmr = np.array([1 - point["tar"] for point in points])
        ends = np.array([[1 - point["tar_interval"][1], 1 - point["tar_interval"][0]] for point in points])
        error = np.abs(ends - fnmr[:, None]).T
        rates = [point["fmr"] for point in points]
        axes.errorbar(rates, fnmr, error, fmt="o", color=BLUE, capsize=3, markersize=4, label="95 % over people")
    axes.set(xscale="log", yscale="log", xlabel="FMR", ylabel="FNMR", xlim=(1e-7, 1))
    with_grid(axes)
    with_legend(axes)
    save(figure, path)


def cumulative_match(path: Path, curves: Mapping[int, Floats]) -> None:
    """Share of searches whose person is among the first matches, over the number of matches, by gallery size."""
    figure, axes = panels(size=(6, 4))
    for size, shares in curves.items():
        axes.plot(range(1, len(shares) + 1), shares, "o-", markersize=3, label=f"{size:,} people")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set(xlabel="rank", ylabel="identification rate", ylim=(None, 1))
    with_grid(axes)
    with_legend(axes)
    save(figure, path)


def quality(
    path: Path,
    rejected: Sequence[float],
    curves: Mapping[str, Sequence[float]],
    levels: Sequence[Mapping[str, Any]],
) -> None:
    """FNMR over the share of pairs rejected, by measure; and by the pairs' lower quality."""
    figure, (left, right) = pair()
    colours = {"quality": BLUE, "detection score": "#67a9cf", "sharpness": "#fdae61", "frontal": ORANGE, "random": GREY}
    for name, curve in curves.items():
        left.plot(rejected, curve, color=colours.get(name), linewidth=2.5 if name == "quality" else 1.2, label=name)
    left.set(xlabel="share of pairs rejected", ylabel="FNMR at FMR 1e-4", ylim=(0, None), xlim=(0, None))
    with_grid(left)
    with_legend(left)
    shown = [level for level in levels if level["fnmr"] is not None]
    labels = [f"{level['from']:.1f} to {level['to']:.1f}\n{level['pairs']:,} pairs" for level in shown]
    right.bar(labels, [level["fnmr"] for level in shown], color=BLUE)
    right.tick_params(axis="x", labelsize=7)
    right.set(xlabel="lower quality of the pair", ylabel="FNMR at FMR 1e-4")
    save(figure, path)


def liveness(
    path: Path, probabilities: Mapping[str, Sequence[float]], curve: Sequence[Mapping[str, float]], threshold: float
) -> None:
    """Probabilities of a live person by kind of presentation, ``live`` first; error rates over the threshold."""
    figure, (left, right) = pair()
    random = np.random.default_rng(0)
    for row, values in enumerate(probabilities.values()):
        heights = row + random.uniform(-0.25, 0.25, len(values))
        left.plot(values, heights, "o", color=ORANGE if row else BLUE, alpha=0.5, markersize=4)
    left.axvline(threshold, color=GREY, linestyle="--")
    kinds = list(probabilities)
    left.set(xlabel="mean probability of a live person", xlim=(0, 1), yticks=range(len(kinds)), yticklabels=kinds)
    thresholds = [point["threshold"] for point in curve]
    colours = (ORANGE, "#b2182b", "#8073ac", GREY)
    names = [f"apcer_{kind}" for kind in kinds if f"apcer_{kind}" in curve[0]]
    for name, colour in zip(names, colours * len(names), strict=False):
        right.plot(thresholds, [point[name] for point in curve], color=colour, label=f"APCER {name[6:]}")
    right.plot(thresholds, [point["bpcer"] for point in curve], color=BLUE, label="BPCER")
    right.axvline(threshold, color=GREY, linestyle="--", label=f"threshold {threshold:g}")
    right.set(xlabel="threshold", ylabel="error rate", xlim=(0, 1), ylim=(0, 1))
    with_grid(right)
    with_legend(right)
    save(figure, path)
