"""Impostor statistics over many templates: FMR at a cosine, cosine at an FMR.

The anchors of a model's card are measured with it. There are two ways of counting. **By people**, each pair of people
has the same weight, no matter how many images there are of them: the meaning of a false-match rate of strangers. **By
pictures**, each pair of images has the same weight, as is usual for published results, where people with many images
dominate.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from serve_app.domain import Vectors
from serve_app.score import Calibration

Counting = Literal["people", "pictures"]
Floats = NDArray[np.float64]

RATES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7)
FEWEST_PAIRS = 10
"""Pairs of people that must reach a cosine for its FMR to count as measured; smaller FMRs are extrapolated."""

TAIL = 0.02
"""Share of impostor comparisons, the most similar ones, that is stored pair by pair."""

BINS = 20_000  # histogram bins over cosines from -1 to 1
_ROWS = 512  # rows of the similarity matrix computed at a time


@dataclass(frozen=True, eq=False)
class Templates:
    """One template per image.

    Attributes:
        vectors: float32 (n, dimension); a row of zeros stands for an image without a face, which matches no one.
        people: intp (n,): index of the person shown, from 0.
    """

    vectors: Vectors
    people: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.people)

    @property
    def population(self) -> int:
        """Number of people."""
        return int(self.people.max()) + 1 if len(self.people) else 0

    def weights(self, counting: Counting) -> Floats:
        """Weight of each image, float64 (n,); the weight of a pair is the product of its two."""
        if counting == "pictures":
            return np.ones(len(self))
        return 1 / np.bincount(self.people)[self.people]


class Impostors:
    """All comparisons between different people, with equal weight of pairs of people or of images (``counting``).

    Raises ValueError if there are fewer than two people.
    """

    def __init__(self, templates: Templates, counting: Counting) -> None:
        if templates.population < 2:
            raise ValueError(f"templates of at least two people were expected, got {templates.population}")
        self._people = templates.people
        self._weights = templates.weights(counting)
        self._of_person = np.bincount(templates.people, self._weights)
        self._histogram = np.zeros(BINS)
        self.pairs = 0
        for cosines, rows, columns in _blocks(templates):
            weights = self._weights[rows] * self._weights[columns]
            bins = np.asarray(np.clip((cosines + 1) * (BINS / 2), 0, BINS - 1), np.intp)
            self._histogram += np.bincount(bins, weights, BINS)
            self.pairs += len(cosines)
        self._cosines, self._first, self._second = _tail(templates, self._from_histogram(TAIL))
        self._reached = np.cumsum(self._weights[self._first] * self._weights[self._second])

    @property
    def people_pairs(self) -> int:
        """Pairs of different people."""
        return len(self._of_person) * (len(self._of_person) - 1) // 2

    def curve(self) -> tuple[Floats, Floats]:
        """Cosines, and the share of impostor comparisons that reach each (FMR): two float64 (:data:`BINS`,) arrays."""
        edges = np.linspace(-1, 1, BINS + 1)[:-1]
        return edges, self._histogram[::-1].cumsum()[::-1] / self._histogram.sum()

    def cosine_at(self, fmr: float, drawn: NDArray[np.intp] | None = None) -> float:
        """The cosine that this share of impostor comparisons reaches.

        Args:
            fmr: above 0; with ``drawn`` below half of :data:`TAIL`.
            drawn: int (population,): how often each person is drawn (a bootstrap over people); None draws each once.
        """
        if drawn is None and fmr > TAIL / 2:
            return self._from_histogram(fmr)
        times = np.ones(len(self._of_person)) if drawn is None else drawn.astype(np.float64)
        of_person = self._of_person * times
        wanted = fmr * (of_person.sum() ** 2 - (of_person**2).sum()) / 2
        # A bootstrap draw moves the position only a little: three times the weight nearly always suffices.
        enough = int(np.searchsorted(self._reached, 3 * wanted)) + 1
        position = self._position(wanted, times, enough)
        if position >= enough:
            position = self._position(wanted, times, len(self._cosines))
        return float(self._cosines[min(position, len(self._cosines) - 1)])

    def _position(self, wanted: float, times: Floats, limit: int) -> int:
        """Number of most similar comparisons whose weights add up to ``wanted``; ``limit`` if the first ones do not."""
        first, second = self._first[:limit], self._second[:limit]
        weights = self._weights[first] * self._weights[second]
        weights *= times[self._people[first]] * times[self._people[second]]
        return int(np.searchsorted(np.cumsum(weights), wanted))

    def _from_histogram(self, fmr: float) -> float:
        edges, reached = self.curve()
        return float(edges[np.searchsorted(-reached, -fmr)]) if reached[-1] < fmr else 1.0


@dataclass(frozen=True, eq=False)
class MeasuredAnchors:
    """Calibration anchors of a model.

    Attributes:
        cosines: false-match rate -> cosine, for all :data:`RATES`.
        extrapolated: the rates that too few pairs of people reach to be measured.
        people, pairs: number of people and of pairs of people that they were measured on.
    """

    cosines: Mapping[float, float]
    extrapolated: tuple[float, ...]
    people: int
    pairs: int

    def describe(self, data: str) -> str:
        """Description of the measurement for the catalogue entry; ``data`` names the data set."""
        return f"{data}: {self.pairs:,} pairs of {self.people:,} people, each pair of people weighing the same"


def measure_anchors(templates: Templates) -> MeasuredAnchors:
    """Cosines at :data:`RATES`, counted by people.

    A rate that fewer than :data:`FEWEST_PAIRS` pairs of people reach is extrapolated: each decade adds the largest
    measured step of a decade from 1e-2 on, which errs on the strict side.

    Raises ValueError if there are too few people to measure three rates.
    """
    impostors = Impostors(templates, "people")
    measured = [rate for rate in RATES if rate * impostors.people_pairs >= FEWEST_PAIRS]
    if len(measured) < 3:
        needed = math.isqrt(round(2 * FEWEST_PAIRS / RATES[2])) + 2
        raise ValueError(f"at least {needed} people are needed to measure FMR 1e-3, there are {templates.population}")
    cosines = {rate: impostors.cosine_at(rate) for rate in measured}
    values = list(cosines.values())
    step = float(np.diff(values[1:]).max())
    extrapolated = RATES[len(measured) :]
    for number, rate in enumerate(extrapolated, 1):
        cosines[rate] = values[-1] + number * step
    rounded = {rate: round(cosine, 4) for rate, cosine in cosines.items()}
    Calibration(rounded)  # raises unless the cosines rise as the FMR falls
    return MeasuredAnchors(rounded, tuple(extrapolated), templates.population, impostors.people_pairs)


def _blocks(templates: Templates) -> Iterator[tuple[NDArray[np.float32], NDArray[np.intp], NDArray[np.intp]]]:
    """Cosines between different people's images, with row and column indices; each pair once, some rows at a time."""
    for start in range(0, len(templates), _ROWS):
        people = templates.people[start : start + _ROWS]
        cosines = templates.vectors[start : start + _ROWS] @ templates.vectors[start:].T
        different = people[:, None] != templates.people[None, start:]
        rows, columns = np.nonzero(np.triu(different, 1))
        yield cosines[rows, columns], rows + start, columns + start


def _tail(templates: Templates, floor: float) -> tuple[NDArray[np.float32], NDArray[np.intp], NDArray[np.intp]]:
    """The comparisons that reach ``floor``, most similar first."""
    parts = []
    for cosines, rows, columns in _blocks(templates):
        kept = cosines >= floor
        parts.append((cosines[kept], rows[kept], columns[kept]))
    cosines, rows, columns = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(-cosines, kind="stable")
    return cosines[order], rows[order], columns[order]
