"""Plots of results. Matplotlib is in the extra ``bench``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from benchmarks.identification import Outcome
    from benchmarks.liveness import Presentation

matplotlib.use("Agg")
matplotlib.rcParams.update(
    {"svg.hashsalt": "facegraph", "svg.fonttype": "none", "axes.spines.top": False, "axes.spines.right": False}
)
from matplotlib import pyplot  # noqa: E402 - after the choice of a back end without a screen

Floats = NDArray[np.float64]

BLUE, ORANGE, GREY = "#2166ac", "#d6604d", "#777777"


def identification(path: Path, found: Sequence[Outcome], others: Sequence[Outcome]) -> None:
    """Best scores of enrolled people and strangers, and FNIR over FPIR."""
    from benchmarks.identification import error_curve

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4), layout="constrained")
    bins = np.linspace(0.4, 1.0, 61).tolist()
    enrolled = [outcome.score for outcome in found if outcome.best == outcome.person]
    for scores, colour, label in (
        (enrolled, BLUE, f"enrolled, right person best ({len(enrolled):,})"),
        ([outcome.score for outcome in others], ORANGE, f"strangers, whoever is best ({len(others):,})"),
    ):
        left.hist(scores, bins, density=True, color=colour, alpha=0.6, label=label)
    used = float(np.median([outcome.min_score for outcome in (*found, *others)]))
    left.set_xlim(0.45, 1.0)
    left.axvline(used, color=GREY, linestyle="--", label=f"default threshold {used:.3f}")
    left.set(xlabel="score of the best match", ylabel="density")
    left.legend(frameon=False, fontsize=8, loc="upper left")
    thresholds, fpir, fnir = error_curve(found, others)
    right.plot(fpir, fnir, color=BLUE)
    at = int(np.argmin(np.abs(thresholds - used)))
    right.plot(fpir[at], fnir[at], "o", color=GREY, label=f"default: FPIR {fpir[at]:.3f}, FNIR {fnir[at]:.3f}")
    right.set(xscale="log", xlim=(1e-3, 1), ylim=(0, max(0.02, 3 * fnir[at])), xlabel="FPIR", ylabel="FNIR (rank 1)")
    right.grid(alpha=0.3)
    right.legend(frameon=False, fontsize=8)
    _save(figure, path)


def det(path: Path, curves: Mapping[str, tuple[Floats, Floats]], measured: Mapping[str, Any]) -> None:
    """Detection error trade-off: FNMR over FMR, both logarithmic, with the operating points and their intervals."""
    figure, axes = pyplot.subplots(figsize=(6, 5), layout="constrained")
    for (name, (fmr, fnmr)), colour in zip(curves.items(), (BLUE, ORANGE), strict=False):
        seen = (fmr > 0) & (fnmr > 0)
        # A step for each bin of the cosine is more than a plot can show.
        axes.plot(fmr[seen][::20], fnmr[seen][::20], color=colour, label=f"FMR counted by {name}")
    points = measured["points"]
    if points:
        fnmr = np.array([1 - point["tar"] for point in points])
        ends = np.array([[1 - point["tar_interval"][1], 1 - point["tar_interval"][0]] for point in points])
        spread = np.abs(ends - fnmr[:, None]).T
        rates = [point["fmr"] for point in points]
        axes.errorbar(rates, fnmr, spread, fmt="o", color=BLUE, capsize=3, markersize=4, label="95 % over people")
    axes.set(xscale="log", yscale="log", xlabel="FMR", ylabel="FNMR", xlim=(1e-7, 1))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=8)
    _save(figure, path)


def cumulative_match(path: Path, curves: Mapping[int, Floats]) -> None:
    """Share of searches whose right person is among the first so many, by gallery size."""
    figure, axes = pyplot.subplots(figsize=(6, 4), layout="constrained")
    for size, shares in curves.items():
        axes.plot(range(1, len(shares) + 1), shares, "o-", markersize=3, label=f"{size:,} people")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set(xlabel="rank", ylabel="identification rate", ylim=(None, 1))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=8)
    _save(figure, path)


def latency(path: Path, samples: Mapping[str, Sequence[float]], ratios: Sequence[float]) -> None:
    """Cumulative distributions of the ways' times, and the ratio of medians round by round."""
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4), layout="constrained")
    for (name, values), colour in zip(samples.items(), (BLUE, ORANGE, GREY), strict=False):
        ordered = np.sort(values)
        left.plot(ordered, np.arange(1, len(ordered) + 1) / len(ordered), color=colour, label=name)
    left.set(xlabel="milliseconds", ylabel="share of searches", xlim=(0, None), ylim=(0, 1))
    left.legend(frameon=False, fontsize=8)
    left.grid(alpha=0.3)
    right.plot(range(1, len(ratios) + 1), ratios, "o-", color=BLUE)
    right.xaxis.get_major_locator().set_params(integer=True)
    right.set(xlabel="round", ylabel="HTTP / in one process (medians)", ylim=(0, None))
    right.grid(alpha=0.3)
    _save(figure, path)


def quality(
    path: Path,
    rejected: Sequence[float],
    curves: Mapping[str, Sequence[float]],
    levels: Sequence[Mapping[str, Any]],
) -> None:
    """FNMR over the share of pairs rejected, by measure; and by the pairs' lower quality."""
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4), layout="constrained")
    colours = {"quality": BLUE, "detection score": "#67a9cf", "sharpness": "#fdae61", "frontal": ORANGE, "random": GREY}
    for name, curve in curves.items():
        left.plot(rejected, curve, color=colours.get(name), linewidth=2.5 if name == "quality" else 1.2, label=name)
    left.set(xlabel="share of pairs rejected", ylabel="FNMR at FMR 1e-4", ylim=(0, None), xlim=(0, None))
    left.grid(alpha=0.3)
    left.legend(frameon=False, fontsize=8)
    shown = [level for level in levels if level["fnmr"] is not None]
    labels = [f"{level['from']:.1f} to {level['to']:.1f}\n{level['pairs']:,} pairs" for level in shown]
    right.bar(labels, [level["fnmr"] for level in shown], color=BLUE)
    right.tick_params(axis="x", labelsize=7)
    right.set(xlabel="lower quality of the pair", ylabel="FNMR at FMR 1e-4")
    _save(figure, path)


def liveness(
    path: Path,
    seen: Sequence[Presentation],
    curve: Sequence[Mapping[str, float]],
    models: Sequence[str],
    threshold: float,
) -> None:
    """The mean probabilities by kind of presentation, and the error rates over the threshold."""
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4), layout="constrained")
    kinds = sorted({item.kind for item in seen}, key=lambda kind: (kind != "live", kind))
    random = np.random.default_rng(0)
    for row, kind in enumerate(kinds):
        values = [item.probability(models) for item in seen if item.kind == kind]
        spread = row + random.uniform(-0.25, 0.25, len(values))
        left.plot(values, spread, "o", color=ORANGE if row else BLUE, alpha=0.5, markersize=4)
    left.axvline(threshold, color=GREY, linestyle="--")
    left.set(xlabel="mean probability of a live person", xlim=(0, 1), yticks=range(len(kinds)), yticklabels=kinds)
    thresholds = [point["threshold"] for point in curve]
    colours = (ORANGE, "#b2182b", "#8073ac", GREY)
    names = [f"apcer_{kind}" for kind in kinds if f"apcer_{kind}" in curve[0]]
    for name, colour in zip(names, colours * len(names), strict=False):
        right.plot(thresholds, [point[name] for point in curve], color=colour, label=f"APCER {name[6:]}")
    right.plot(thresholds, [point["bpcer"] for point in curve], color=BLUE, label="BPCER")
    right.axvline(threshold, color=GREY, linestyle="--", label=f"threshold {threshold:g}")
    right.set(xlabel="threshold", ylabel="error rate", xlim=(0, 1), ylim=(0, 1))
    right.grid(alpha=0.3)
    right.legend(frameon=False, fontsize=8)
    _save(figure, path)


def gallery(path: Path, stores: Mapping[str, Mapping[str, Any]]) -> None:
    """Search times and rates of concurrent callers over the gallery's size."""
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4), layout="constrained")
    for (store, sizes), colour in zip(stores.items(), (BLUE, ORANGE), strict=False):
        faces = [int(size) for size in sizes]
        for quantile, style in (("median", "o-"), ("p99", "o:")):
            times = [figures["search_ms"][quantile] for figures in sizes.values()]
            left.plot(faces, times, style, color=colour, label=f"{store}, {quantile}")
        rates = [figures["16_callers_per_second"] for figures in sizes.values()]
        right.plot(faces, rates, "o-", color=colour, label=store)
    left.set(xscale="log", yscale="log", xlabel="faces", ylabel="ms, one search")
    right.set(xscale="log", xlabel="faces", ylabel="searches per second, 16 callers", ylim=(0, None))
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, fontsize=8)
    _save(figure, path)


def memory(path: Path, samples: Mapping[str, Sequence[tuple[int, float]]]) -> None:
    """FlatRows memory of each process over the requests answered."""
    figure, axes = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
    for name, values in sorted(samples.items(), key=lambda item: -item[1][-1][1]):
        axes.plot(*np.array(values, np.float64).T, label=f"{name}: {values[-1][1]:,.0f} MB")
    axes.set(xlabel="requests answered", ylabel="resident memory in MB", xlim=(0, None), ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    _save(figure, path)


def throughput(
    path: Path, closed: Mapping[str, Mapping[str, Any]], floor: float, opened: Sequence[Mapping[str, Any]]
) -> None:
    """Requests per second over concurrency, and percentiles over the rate offered."""
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4), layout="constrained")
    for name, steps in closed.items():
        left.plot(
            [int(clients) for clients in steps], [step["per_second"] for step in steps.values()], "o-", label=name
        )
    left.axhline(floor, color=GREY, linestyle="--", label="floor")
    left.set(xscale="log", xlabel="clients", ylabel="searches per second", ylim=(0, None))
    left.set_xticks([int(clients) for clients in next(iter(closed.values()), {})])
    left.xaxis.set_major_formatter("{x:.0f}")
    left.legend(frameon=False, fontsize=8)
    for quantile, colour in (("p50", BLUE), ("p99", ORANGE)):
        right.plot(
            [step["rate"] for step in opened], [step[quantile] for step in opened], "o-", color=colour, label=quantile
        )
    right.set(xlabel="requests per second offered", ylabel="ms, answered requests", yscale="log")
    right.legend(frameon=False, fontsize=8)
    for axes in (left, right):
        axes.grid(alpha=0.3)
    _save(figure, path)


def autoscaling(path: Path, found: Mapping[str, Any], phases: Sequence[Mapping[str, Any]], width_s: float) -> None:
    """Over time: requests, latency, replicas and calls under way of each stage."""
    figure, panels = pyplot.subplots(4, 1, figsize=(9, 10), sharex=True, layout="constrained")
    rates, times, replicas, queues = panels
    due, took, status = (np.array(column) for column in zip(*found["requests"], strict=True))
    edges = np.arange(0, due.max() + width_s, width_s)
    middles = (edges[:-1] + edges[1:]) / 2
    for chosen, colour, label in (
        (status == 200, BLUE, "answered"),
        (status == 429, ORANGE, "429"),
        ((status != 200) & (status != 429), GREY, "failed"),
    ):
        rates.plot(middles, np.histogram(due[chosen], edges)[0] / width_s, color=colour, label=label)
    rates.set(ylabel="requests per second", ylim=(0, None))
    bins = np.digitize(due, edges) - 1
    for quantile, colour in ((0.5, BLUE), (0.99, ORANGE)):
        values = [
            np.quantile(took[chosen], quantile) if (chosen := (bins == number) & (status == 200)).any() else np.nan
            for number in range(len(middles))
        ]
        times.plot(middles, values, color=colour, label=f"p{100 * quantile:.0f}")
    times.set(ylabel="ms, answered", yscale="log")
    states = found["states"]
    for name, colour in zip(states[0]["replicas"], (BLUE, GREY, ORANGE, "#67a9cf"), strict=False):
        at = [state["at"] for state in states]
        replicas.step(at, [state["replicas"][name] for state in states], where="post", color=colour, label=name)
        queues.plot(at, [state["in_flight"][name] for state in states], color=colour, label=name)
    replicas.yaxis.get_major_locator().set_params(integer=True)
    replicas.set(ylabel="replicas running", ylim=(-0.1, None))
    queues.set(ylabel="calls under way or waiting", xlabel="seconds", ylim=(0, None))
    for axes in panels:
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, fontsize=8, loc="upper right")
        for phase in phases:
            axes.axvline(phase["start"], color=GREY, linewidth=0.8, linestyle="--")
    for phase in phases:
        rates.annotate(phase["name"], (phase["start"], 1), xycoords=("data", "axes fraction"), fontsize=8, va="bottom")
    _save(figure, path)


def stages(path: Path, found: Mapping[str, Mapping[str, Any]]) -> None:
    """Rates of each way with its quartiles, and its share of the machine's float32 peak."""
    names = list(found)[::-1]
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4.5), layout="constrained", sharey=True)
    colours = [BLUE if "facegraph" in name else GREY for name in names]
    for axes, part in ((left, "per_second"), (right, "share_of_peak")):
        middle, spread = _quartiles([found[name][part] for name in names])
        axes.barh(names, middle, xerr=spread, color=colours, error_kw={"linewidth": 1})
        axes.tick_params(axis="y", labelsize=8)
    left.set_xlabel("per second")
    right.set(xlabel="of the float32 peak", xlim=(0, 1))
    _save(figure, path)


def capacity(path: Path, points: Sequence[Mapping[str, Any]]) -> None:
    """Predicted and measured rates."""
    figure, axes = pyplot.subplots(figsize=(6, 3.5), layout="constrained")
    places = np.arange(len(points))
    middle, spread = _quartiles([point["measured_per_second"] for point in points])
    axes.bar(places - 0.2, [point["predicted_per_second"] for point in points], 0.4, color=GREY, label="predicted")
    axes.bar(places + 0.2, middle, 0.4, yerr=spread, color=BLUE, label="measured")
    axes.set_xticks(places, [f"faces a picture: {point['faces']}" for point in points])
    axes.set_ylabel("pictures per second")
    axes.legend(frameon=False)
    _save(figure, path)


def _quartiles(rates: Sequence[Mapping[str, float]]) -> tuple[Floats, list[Floats]]:
    """Medians, and how far below and above them the quartiles are."""
    low, middle, high = (np.array([rate[part] for rate in rates]) for part in ("q1", "median", "q3"))
    return middle, [middle - low, high - middle]


def _save(figure: Any, path: Path) -> None:
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    pyplot.close(figure)
