"""Open-set identification: missed enrolled people (FNIR) and answered strangers (FPIR), by gallery size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.templates.photographs import groups_of
from serve_app.domain import Vectors
from serve_app.vision.fmr_statistics import Floats, Templates

Fusion = Literal["best", "mean", "quality"]
"""The cosine with a person of several enrolled images: with the most similar one, their mean, or their mean weighted by
quality."""

FPIRS = (1e-2, 1e-3)
RANKS = 20
FEWEST = 3
"""Strangers that must reach a threshold for its FNIR to be reported."""


@dataclass(frozen=True, eq=False)
class Searches:
    """The cosines of all searches in one gallery.

    Attributes:
        genuine: (n,), of each probe, an image of an enrolled person, with that person.
        rank: (n,), from 1, of that person among the enrolled.
        owner: (n,), that person's position in the gallery.
        strangers: (m,), the best one of each person who is not enrolled.
    """

    genuine: NDArray[np.float32]
    rank: NDArray[np.intp]
    owner: NDArray[np.intp]
    strangers: NDArray[np.float32]

    def fnir(self, cosine: float) -> float:
        """Share of probes whose best match is another person, or is below the cosine."""
        return float(np.mean((self.rank > 1) | (self.genuine < cosine)))

    def fpir(self, cosine: float) -> float:
        """Share of strangers that reach the cosine with any enrolled person."""
        return float(np.mean(self.strangers >= cosine))

    def cosine_at(self, fpir: float) -> float:
        """The lowest cosine at which at most this share of strangers gets an answer."""
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
    """Enrol a draw of people; search with their other images and with one image of each other person.

    People with images for both are drawn first, then others, who are only enrolled. The enrolled images are drawn, too.

    Args:
        quality: (n,), weights for the fusion ``quality``.
        size: enrolled people.
        enrolled_pictures: images enrolled for each.

    Raises:
        ValueError: there are not more than ``size`` people, or none has an image left to search with.
    """
    random = np.random.default_rng(seed)
    order = random.permutation(len(templates))
    by_person = [group[np.argsort(order[group])] for group in groups_of(templates.people)]
    people = random.permutation(len(by_person))
    enough = np.array([len(by_person[person]) > enrolled_pictures for person in people])
    people = np.concatenate([people[enough], people[~enough]])
    if not size < len(people) or not enough.any():
        raise ValueError(f"more than {size} people and one with {enrolled_pictures + 1} images were expected")
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


def against(
    probes: Vectors, vectors: Vectors, quality: Floats, gallery: Sequence[NDArray[np.intp]], fusion: Fusion
) -> NDArray[np.float32]:
    """Cosines of probes (rows) with people (columns), who are given by the rows of ``vectors`` that are theirs."""
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
    """FNIR at each FPIR for which there are enough strangers: mean and standard deviation over the draws."""
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
    """Share of probes whose person is among the first 1, 2 ... :data:`RANKS` matches, over all draws."""
    ranks = np.concatenate([one.rank for one in draws])
    return np.array([np.mean(ranks <= rank) for rank in range(1, RANKS + 1)])
