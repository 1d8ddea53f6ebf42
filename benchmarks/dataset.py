"""A data set of one folder per person, split into who is enrolled, how they are looked for, and who is a stranger."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from benchmarks.report import ROOT

T = TypeVar("T")

DEFAULT_IMAGES = ROOT.parent / "shared" / "data" / "lfw" / "images"
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})


class DataMissing(Exception):
    """There is no such data set here; the message says where it was expected."""


@dataclass(frozen=True)
class Split:
    """Who is enrolled from which picture, and what is searched.

    Attributes:
        enrolled: person -> the one enrolled picture.
        probes: person -> the other pictures of an enrolled person; persons without any are absent.
        strangers: person who is not enrolled -> one picture.
    """

    enrolled: dict[str, Path]
    probes: dict[str, list[Path]]
    strangers: dict[str, Path]


def read_people(images: Path) -> dict[str, list[Path]]:
    """Person -> pictures, both by name.

    Raises:
        DataMissing: no such folder, or nothing in it.
    """
    if not images.is_dir():
        raise DataMissing(f"No folder of pictures at {images}: give one with --images (a sub-folder for each person).")
    people = {
        folder.name: sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
        for folder in sorted(images.iterdir())
        if folder.is_dir()
    }
    people = {name: pictures for name, pictures in people.items() if pictures}
    if not people:
        raise DataMissing(f"{images} has no sub-folder with pictures in it.")
    return people


def split(people: dict[str, list[Path]], enrolled: int, seed: int, limit: int | None = None) -> Split:
    """Enrol ``enrolled`` people by the first picture of each, those with more than one picture first.

    Who of them is enrolled is drawn by ``seed``. Everybody else is a stranger with the first picture.

    Args:
        limit: at most so many probes and so many strangers, evenly over the lists, for a quick look.

    Raises:
        DataMissing: there are not that many people, or no one is left over.
    """
    if len(people) <= enrolled:
        raise DataMissing(f"More than {enrolled} people are needed, the folder has {len(people)}.")
    order = sorted(people)
    random.Random(seed).shuffle(order)
    order.sort(key=lambda name: len(people[name]) < 2)  # stable: the draw stays within each half
    chosen, others = sorted(order[:enrolled]), sorted(order[enrolled:])
    probes = [(name, picture) for name in chosen for picture in people[name][1:]]
    by_person: dict[str, list[Path]] = {}
    for name, picture in thin(probes, limit):
        by_person.setdefault(name, []).append(picture)
    return Split(
        enrolled={name: people[name][0] for name in chosen},
        probes=by_person,
        strangers={name: people[name][0] for name in thin(others, limit)},
    )


def thin(items: list[T], limit: int | None) -> list[T]:
    """At most ``limit`` items at even distances."""
    if limit is None or len(items) <= limit:
        return items
    return [items[round(i * (len(items) - 1) / max(1, limit - 1))] for i in range(limit)]
