"""Style of the plots, and helpers that all of them use. Matplotlib is in the extra ``bench``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

from benchmarks.common.statistics import Floats

matplotlib.use("Agg")
matplotlib.rcParams.update(
    {"svg.hashsalt": "facegraph", "svg.fonttype": "none", "axes.spines.top": False, "axes.spines.right": False}
)
from matplotlib import pyplot  # noqa: E402 - after the choice of a back end without a screen

BLUE, ORANGE, GREY = "#2166ac", "#d6604d", "#777777"


def panels(rows: int = 1, columns: int = 1, *, size: tuple[float, float], **options: Any) -> tuple[Any, Any]:
    """A figure of ``size`` inches and its axes."""
    figure, axes = pyplot.subplots(rows, columns, figsize=size, layout="constrained", **options)
    return figure, axes


def pair(height: float = 4.0, **options: Any) -> tuple[Any, Any]:
    """A figure with two panels side by side, and their axes."""
    return panels(1, 2, size=(11, height), **options)


def with_grid(*axes: Any) -> None:
    """Draw a light grid."""
    for one in axes:
        one.grid(alpha=0.3)


def with_legend(*axes: Any, **options: Any) -> None:
    """Draw a small legend without a frame."""
    for one in axes:
        one.legend(frameon=False, fontsize=8, **options)


def spread(rates: Sequence[Mapping[str, float]]) -> tuple[Floats, list[Floats]]:
    """Medians of quartiles, and the distances of the quartiles below and above them, as error bars want them."""
    low, middle, high = (np.array([rate[part] for rate in rates]) for part in ("q1", "median", "q3"))
    return middle, [middle - low, high - middle]


def save(figure: Any, path: Path) -> None:
    """Write the figure, without a date so that equal figures are equal files, and close it."""
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    pyplot.close(figure)
