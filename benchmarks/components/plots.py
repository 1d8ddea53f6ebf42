"""Plots of the component benchmarks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.common.plotting import BLUE, GREY, ORANGE, pair, save, spread, with_grid, with_legend


def gallery(path: Path, stores: Mapping[str, Mapping[str, Any]]) -> None:
    """Search times and rates of concurrent callers over the gallery's size."""
    figure, (left, right) = pair()
    for (store, sizes), colour in zip(stores.items(), (BLUE, ORANGE), strict=False):
        faces = [int(size) for size in sizes]
        for quantile, style in (("median", "o-"), ("p99", "o:")):
            times = [figures["search_ms"][quantile] for figures in sizes.values()]
            left.plot(faces, times, style, color=colour, label=f"{store}, {quantile}")
        rates = [figures["16_callers_per_second"] for figures in sizes.values()]
        right.plot(faces, rates, "o-", color=colour, label=store)
    left.set(xscale="log", yscale="log", xlabel="faces", ylabel="ms, one search")
    right.set(xscale="log", xlabel="faces", ylabel="searches per second, 16 callers", ylim=(0, None))
    with_grid(left, right)
    with_legend(left, right)
    save(figure, path)


def stages(path: Path, found: Mapping[str, Mapping[str, Any]]) -> None:
    """Rates of each way with its quartiles, and its share of the machine's float32 peak."""
    names = list(found)[::-1]
    figure, (left, right) = pair(4.5, sharey=True)
    colours = [BLUE if "facegraph" in name else GREY for name in names]
    for axes, part in ((left, "per_second"), (right, "share_of_peak")):
        middle, error = spread([found[name][part] for name in names])
        axes.barh(names, middle, xerr=error, color=colours, error_kw={"linewidth": 1})
        axes.tick_params(axis="y", labelsize=8)
    left.set_xlabel("per second")
    right.set(xlabel="of the float32 peak", xlim=(0, 1))
    save(figure, path)
