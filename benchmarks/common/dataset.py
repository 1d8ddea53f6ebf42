"""Data sets: folders with one sub-folder of images per person, and their split into enrolled people and strangers."""

from __future__ import annotations

import argparse
import random
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from benchmarks.common.machine import ROOT

T = TypeVar("T")

DEFAULT_IMAGES = ROOT.parent / "shared" / "data" / "lfw" / "images"
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})


class DataMissing(Exception):
    """The data set is not on this machine; the message says where it was expected."""


@dataclass(frozen=True)
class Split:
    """A data set split for open-set identification.

    Attributes:
        enrolled: person -> the one enrolled image.
        probes: person -> the other images of an enrolled person; persons without any are absent.
        strangers: person who is not enrolled -> one image.
    """

    enrolled: dict[str, Path]
    probes: dict[str, list[Path]]
    strangers: dict[str, Path]


def add_images_option(parser: argparse.ArgumentParser) -> None:
    """The option ``--images``, by default LFW in the shared folder."""
    parser.add_argument("--images", type=Path, default=DEFAULT_IMAGES, help="a folder with a sub-folder per person")


def describe(images: Path) -> str:
    """The name of a data set in reports, without the path to it."""
    return "LFW (shared/data/lfw/images)" if images == DEFAULT_IMAGES else images.name


def images_in(folder: Path, pattern: str = "*") -> list[Path]:
    """The image files in a folder by path; the pattern ``**/*`` includes its sub-folders."""
    return sorted(path for path in folder.glob(pattern) if path.suffix.lower() in SUFFIXES)


def read_people(images: Path) -> dict[str, list[Path]]:
    """Person -> images, both by name.

    Raises:
        DataMissing: the folder does not exist or has no images.
    """
    if not images.is_dir():
        raise DataMissing(
            f"No folder of images at {images}: name one with --images (a sub-folder for each person). "
            "`make bench-quick` needs none."
        )
    folders = [folder for folder in sorted(images.iterdir()) if folder.is_dir()]
    people = {folder.name: found for folder in folders if (found := images_in(folder))}
    if not people:
        raise DataMissing(f"{images} has no sub-folder with images in it.")
    return people


def split(people: dict[str, list[Path]], enrolled: int, seed: int, limit: int | None = None) -> Split:
    """Enrol ``enrolled`` people by the first image of each, those with more than one image first.

    ``seed`` draws which of them are enrolled. All others are strangers with their first image.

    Args:
        limit: at most this many probes and this many strangers, evenly over the lists, for a quick run.

    Raises:
        DataMissing: there are not more people than ``enrolled``.
    """
    if len(people) <= enrolled:
        raise DataMissing(f"More than {enrolled} people are needed, the folder has {len(people)}.")
    order = sorted(people)
    random.Random(seed).shuffle(order)
    order.sort(key=lambda name: len(people[name]) < 2)  # stable: the draw stays within each half
    chosen, others = sorted(order[:enrolled]), sorted(order[enrolled:])
    by_person: dict[str, list[Path]] = {}
    probes = [(name, image) for name in chosen for image in people[name][1:]]
    for name, image in thin(probes, limit):
        by_person.setdefault(name, []).append(image)
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
