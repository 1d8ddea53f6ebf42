"""Plots of the load benchmarks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.plotting import BLUE, GREY, ORANGE, pair, panels, save, spread, with_grid, with_legend


def latency(path: Path, samples: Mapping[str, Sequence[float]], ratios: Sequence[float]) -> None:
    """Cumulative distributions of the times of each way, and the ratio of medians round by round."""
    figure, (left, right) = pair()
    for (name, values), colour in zip(samples.items(), (BLUE, ORANGE, GREY), strict=False):
        ordered = np.sort(values)
        left.plot(ordered, np.arange(1, len(ordered) + 1) / len(ordered), color=colour, label=name)
    left.set(xlabel="milliseconds", ylabel="share of searches", xlim=(0, None), ylim=(0, 1))
    with_legend(left)
    right.plot(range(1, len(ratios) + 1), ratios, "o-", color=BLUE)
    right.xaxis.get_major_locator().set_params(integer=True)
    right.set(xlabel="round", ylabel="HTTP / in one process (medians)", ylim=(0, None))
    with_grid(left, right)
    save(figure, path)


def memory(path: Path, samples: Mapping[str, Sequence[tuple[int, float]]]) -> None:
    """Resident memory of each process over the requests answered."""
    figure, axes = panels(size=(8, 4.5))
    for name, values in sorted(samples.items(), key=lambda item: -item[1][-1][1]):
        axes.plot(*np.array(values, np.float64).T, label=f"{name}: {values[-1][1]:,.0f} MB")
    axes.set(xlabel="requests answered", ylabel="resident memory in MB", xlim=(0, None), ylim=(0, None))
    with_grid(axes)
    with_legend(axes, loc="center left", bbox_to_anchor=(1, 0.5))
    save(figure, path)


def throughput(
    path: Path, closed: Mapping[str, Mapping[str, Any]], floor: float, opened: Sequence[Mapping[str, Any]]
) -> None:
    """Requests per second over concurrency, and percentiles of answered requests over the rate offered."""
    figure, (left, right) = pair()
    for name, steps in closed.items():
        rates = [step["per_second"] for step in steps.values()]
        left.plot([int(clients) for clients in steps], rates, "o-", label=name)
    left.axhline(floor, color=GREY, linestyle="--", label="floor")
    left.set(xscale="log", xlabel="clients", ylabel="searches per second", ylim=(0, None))
    left.set_xticks([int(clients) for clients in next(iter(closed.values()), {})])
    left.xaxis.set_major_formatter("{x:.0f}")
    offered = [step["rate"] for step in opened]
    for quantile, colour in (("p50", BLUE), ("p99", ORANGE)):
        right.plot(offered, [step[quantile] for step in opened], "o-", color=colour, label=quantile)
    right.set(xlabel="requests per second offered", ylabel="ms, answered requests", yscale="log")
    with_grid(left, right)
    with_legend(left, right)
    save(figure, path)


def autoscaling(path: Path, found: Mapping[str, Any], phases: Sequence[Mapping[str, Any]], width_s: float) -> None:
    """Over time: requests, latency, replicas and calls under way of each stage."""
    figure, axes = panels(4, 1, size=(9, 10), sharex=True)
    rates, times, replicas, queues = axes
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
    with_grid(*axes)
    with_legend(*axes, loc="upper right")
    for phase in phases:
        for panel in axes:
            panel.axvline(phase["start"], color=GREY, linewidth=0.8, linestyle="--")
        rates.annotate(phase["name"], (phase["start"], 1), xycoords=("data", "axes fraction"), fontsize=8, va="bottom")
    save(figure, path)


def capacity(path: Path, points: Sequence[Mapping[str, Any]]) -> None:
    """Predicted and measured rates."""
    figure, axes = panels(size=(6, 3.5))
    positions = np.arange(len(points))
    middle, error = spread([point["measured_per_second"] for point in points])
    axes.bar(positions - 0.2, [point["predicted_per_second"] for point in points], 0.4, color=GREY, label="predicted")
    axes.bar(positions + 0.2, middle, 0.4, yerr=error, color=BLUE, label="measured")
    axes.set_xticks(positions, [f"faces per image: {point['faces']}" for point in points])
    axes.set_ylabel("images per second")
    axes.legend(frameon=False)
    save(figure, path)
