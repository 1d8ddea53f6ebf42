"""Verification (one-to-one comparison): the ten-fold protocol of LFW, and error rates over all pairs of images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.templates.photographs import groups_of
from serve_app.vision.fmr_statistics import Floats, Impostors, Templates

RATES = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
FEWEST = 10
"""Impostor pairs that must reach a threshold for it to be reported."""

FOLDS = 10
PAIRS_PER_FOLD = 300  # of one person, and the same number of two


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of images in ten folds; no person is in two folds.

    Attributes:
        first, second: (n,), rows of the two images.
        same: (n,), whether both show one person.
        fold: (n,), 0 to 9.
    """

    first: NDArray[np.intp]
    second: NDArray[np.intp]
    same: NDArray[np.bool_]
    fold: NDArray[np.intp]


@dataclass(frozen=True)
class TenFold:
    """Accuracy over ten folds, each at the threshold that is best on the other nine."""

    mean: float
    deviation: float
    errors: int
    pairs: int


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold for an FMR, and the share of genuine pairs that reach it (TAR); 95 % intervals over people."""

    fmr: float
    cosine: float
    cosine_interval: tuple[float, float]
    tar: float
    tar_interval: tuple[float, float]


def read_pairs(path: Path, pictures: Mapping[str, Sequence[Path]], position: Mapping[Path, int]) -> Pairs:
    """Read LFW's ``pairs.txt``: ten times 300 lines ``name i j`` and 300 ``name i other j``, images counted from 1.

    Args:
        pictures: person -> images.
        position: image -> row.

    Raises:
        ValueError: another form, or an image that does not exist.
    """
    head, *lines = path.read_text(encoding="utf-8").splitlines()
    folds, each = (int(word) for word in head.split())
    if len(lines) < 2 * folds * each:
        raise ValueError(f"{path}: {2 * folds * each} pairs were expected, there are {len(lines)}")
    rows = []
    for number, line in enumerate(lines[: 2 * folds * each]):
        words = line.split()
        # "name i j" stands for "name i name j"
        name, one, other, another = words if len(words) == 4 else (words[0], words[1], words[0], words[-1])
        try:
            places = [position[_numbered(pictures[who], who, int(k))] for who, k in ((name, one), (other, another))]
        except (KeyError, StopIteration):
            raise ValueError(f"{path}, line {number + 2}: no such image: {line!r}") from None
        rows.append((*places, name == other, number // (2 * each)))
    first, second, same, fold = (np.array(column) for column in zip(*rows, strict=True))
    return Pairs(first, second, same, fold)


def _numbered(pictures: Sequence[Path], name: str, number: int) -> Path:
    return next(path for path in pictures if path.stem == f"{name}_{number:04}")


def draw_pairs(people: NDArray[np.intp], seed: int) -> Pairs:
    """Pairs drawn as LFW's were, for data without a list of pairs.

    Each person is put into one of ten folds; in each fold up to 300 pairs of one person and the same number of two are
    drawn without repetition.

    Raises:
        ValueError: a fold has no pair of one person.
    """
    random = np.random.default_rng(seed)
    deal = random.permutation(int(people.max()) + 1) % FOLDS
    rows: list[tuple[int, int, bool, int]] = []
    for fold in range(FOLDS):
        members = np.flatnonzero(deal[people] == fold)
        i, j = np.triu_indices(len(members), 1)
        i, j = members[i], members[j]
        same = people[i] == people[j]
        count = min(PAIRS_PER_FOLD, int(same.sum()), int((~same).sum()))
        if not count:
            raise ValueError("more people with two images are needed for ten folds")
        for kind in (True, False):
            chosen = random.choice(np.flatnonzero(same == kind), count, replace=False)
            rows += [(int(i[k]), int(j[k]), kind, fold) for k in chosen]
    first, second, kinds, folds = (np.array(column) for column in zip(*rows, strict=True))
    return Pairs(first, second, kinds, folds)


def ten_fold(templates: Templates, pairs: Pairs) -> TenFold:
    """Accuracy by the image-restricted protocol of Huang et al.: "Labeled Faces in the Wild", 2007."""
    cosines = np.einsum("ij,ij->i", templates.vectors[pairs.first], templates.vectors[pairs.second])
    shares = []
    errors = 0
    for fold in np.unique(pairs.fold):
        held_out = pairs.fold == fold
        threshold = best_threshold(cosines[~held_out], pairs.same[~held_out])
        wrong = (cosines[held_out] >= threshold) != pairs.same[held_out]
        errors += int(wrong.sum())
        shares.append(1 - wrong.mean())
    return TenFold(float(np.mean(shares)), float(np.std(shares, ddof=1)), errors, len(cosines))


def best_threshold(cosines: NDArray[np.float32], same: NDArray[np.bool_]) -> float:
    """The cosine with the fewest errors; of several, the middle one."""
    order = np.argsort(cosines, kind="stable")
    ordered, genuine = cosines[order], same[order]
    # Position k is the threshold just below the k-th cosine: errors are genuine pairs before it, impostors from it on.
    errors = np.concatenate([[0], np.cumsum(genuine)]) + (~genuine).sum() - np.concatenate([[0], np.cumsum(~genuine)])
    best = np.flatnonzero(errors == errors.min())
    place = int(best[len(best) // 2])
    edges = np.concatenate([[-1.0], ordered, [1.0]])
    return float((edges[place] + edges[place + 1]) / 2)


class Genuine:
    """The cosines of all pairs of images of one person.

    Raises:
        ValueError: no person has two images.
    """

    def __init__(self, templates: Templates) -> None:
        found, owners = [], []
        for group in groups_of(templates.people):
            if len(group) > 1:
                cosines = templates.vectors[group] @ templates.vectors[group].T
                found.append(cosines[np.triu_indices(len(group), 1)])
                owners.append(np.full(len(found[-1]), templates.people[group[0]]))
        if not found:
            raise ValueError("at least one person with two images was expected")
        self.cosines = np.concatenate(found)
        self._owner = np.concatenate(owners)

    def __len__(self) -> int:
        return len(self.cosines)

    def reaching(self, cosine: float, drawn: NDArray[np.intp] | None = None) -> float:
        """The share that reaches a cosine (TAR); ``drawn``: how often each person counts."""
        weights = np.ones(len(self)) if drawn is None else drawn[self._owner].astype(np.float64)
        return float(np.average(self.cosines >= cosine, weights=weights))

    def curve(self, cosines: Floats) -> Floats:
        """The share that reaches each cosine."""
        return 1 - np.searchsorted(np.sort(self.cosines), cosines) / len(self)


def operating_points(
    impostors: Impostors, genuine: Genuine, population: int, resamples: int = 200, seed: int = 0
) -> list[OperatingPoint]:
    """Operating points at each FMR with enough pairs, with percentile bootstrap intervals over people.

    A person drawn twice counts twice in comparisons with others, and is not compared with themselves.
    """
    random = np.random.default_rng(seed)
    draws = [np.bincount(random.integers(0, population, population), minlength=population) for _ in range(resamples)]
    points = []
    for fmr in (rate for rate in RATES if rate * impostors.pairs >= FEWEST):
        cosine = impostors.cosine_at(fmr)
        cosines = [impostors.cosine_at(fmr, drawn) for drawn in draws]
        # The threshold is measured on each draw as well, so its uncertainty is part of the interval.
        tars = [genuine.reaching(c, drawn) for c, drawn in zip(cosines, draws, strict=True)]
        points.append(OperatingPoint(fmr, cosine, _interval(cosines), genuine.reaching(cosine), _interval(tars)))
    return points


def _interval(values: Sequence[float]) -> tuple[float, float]:
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)
