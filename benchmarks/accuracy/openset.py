"""One-to-many search: who is enrolled is found (FNIR), who is not gets an answer (FPIR), by gallery size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from serve_app.domain import Vectors
from serve_app.vision.fmr_statistics import Floats, Templates

Fusion = Literal["best", "mean", "quality"]
"""A person with several enrolled pictures: the most similar one counts, or their mean, or the mean by quality."""

FPIRS = (1e-2, 1e-3)
RANKS = 20
FEWEST = 3
"""Strangers that must reach a threshold for it to be given."""


@dataclass(frozen=True, eq=False)
class Searches:
    """What one gallery answers.

    Attributes:
        genuine: of each picture of an enrolled person, the cosine with that person.
        rank: from 1, of that person among the enrolled.
        owner: who that is.
        strangers: of each person who is not enrolled, the best cosine with anyone.
    """

    genuine: NDArray[np.float32]
    rank: NDArray[np.intp]
    owner: NDArray[np.intp]
    strangers: NDArray[np.float32]

    def fnir(self, cosine: float) -> float:
        """Share of searches of enrolled people whose best match is not they, or is below the cosine."""
        return float(np.mean((self.rank > 1) | (self.genuine < cosine)))

    def fpir(self, cosine: float) -> float:
        """Share of strangers that reach the cosine with anyone."""
        return float(np.mean(self.strangers >= cosine))

    def cosine_at(self, fpir: float) -> float:
        """The lowest cosine at which no more strangers than this share get an answer."""
        ordered = np.sort(self.strangers)[::-1]
        return float(np.nextafter(ordered[int(fpir * len(ordered))], np.float32(2)))


def search(
    templates: Templates,
    quality: Floats,
    size: int,
    seed: int,
    enrolled_pictures: int = 1,
    fusion: Fusion = "best",
) -> Searches:
    """Enrol a draw of people by some pictures each, search with their other pictures and with one of everybody else.

    People with enough pictures for both are drawn first, then others, who are only enrolled. Which pictures are
    enrolled is drawn too.

    Raises:
        ValueError: there are not so many people, nobody to find, or no strangers.
    """
    random = np.random.default_rng(seed)
    order = random.permutation(len(templates))
    by_person = [group[np.argsort(order[group])] for group in groups_of(templates.people)]
    people = random.permutation(len(by_person))
    enough = np.array([len(by_person[person]) > enrolled_pictures for person in people])
    people = np.concatenate([people[enough], people[~enough]])
    if not size < len(people) or not enough.any():
        raise ValueError(f"more than {size} people and one with {enrolled_pictures + 1} pictures were expected")
    chosen, others = people[:size], people[size:]
    gallery = [by_person[person][:enrolled_pictures] for person in chosen]
    probes = [by_person[person][enrolled_pictures:] for person in chosen]
    owner = np.repeat(np.arange(size), [len(group) for group in probes])
    cosines = against(templates.vectors[np.concatenate(probes)], templates.vectors, quality, gallery, fusion)
    genuine = cosines[np.arange(len(owner)), owner]
    rank = 1 + np.sum(cosines > genuine[:, None], axis=1)
    strangers = against(
        templates.vectors[[by_person[person][0] for person in others]], templates.vectors, quality, gallery, fusion
    ).max(axis=1)
    return Searches(genuine, rank, owner, strangers)


def groups_of(people: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """Positions of each person's pictures."""
    order = np.argsort(people, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(people[order])) + 1)


def against(
    probes: Vectors, vectors: Vectors, quality: Floats, gallery: Sequence[NDArray[np.intp]], fusion: Fusion
) -> NDArray[np.float32]:
    """Cosines of probes (rows) with enrolled people (columns)."""
    if fusion == "best":
        starts = np.cumsum([0, *(len(group) for group in gallery[:-1])])
        every = probes @ vectors[np.concatenate(gallery)].T
        best: NDArray[np.float32] = np.maximum.reduceat(every, starts, axis=1)
        return best
    means = []
    for group in gallery:
        weights = quality[group] if fusion == "quality" else np.ones(len(group))
        mean = (vectors[group] * weights[:, None]).sum(axis=0)
        means.append(mean / max(float(np.linalg.norm(mean)), 1e-12))
    return np.asarray(probes @ np.asarray(means, np.float32).T, np.float32)


def rates(draws: Sequence[Searches]) -> dict[str, dict[str, float]]:
    """FNIR at each FPIR that strangers suffice for: mean and standard deviation over the draws."""
    found = {}
    for fpir in FPIRS:
        if fpir * len(draws[0].strangers) >= FEWEST:
            cosines = [one.cosine_at(fpir) for one in draws]
            values = [one.fnir(cosine) for one, cosine in zip(draws, cosines, strict=True)]
            found[f"{fpir:g}"] = {
                "fnir": float(np.mean(values)),
                "deviation": float(np.std(values)),
                "cosine": float(np.mean(cosines)),
            }
    return found


def cumulative_match(draws: Sequence[Searches]) -> Floats:
    """Share of searches whose right person is among the first 1, 2 ... :data:`RANKS`, over all draws."""
    ranks = np.concatenate([one.rank for one in draws])
    return np.array([np.mean(ranks <= rank) for rank in range(1, RANKS + 1)])
