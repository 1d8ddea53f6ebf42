"""A data set as templates: the central face of each image, detected, aligned and embedded."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from serve_app.vision.face_reader import FaceReader
from serve_app.vision.fmr_statistics import Floats, Templates


@dataclass(frozen=True, eq=False)
class Photographs:
    """The templates of a data set, one row per image.

    Attributes:
        people: person -> images, as given.
        names: of the people, by number.
        templates: of the central faces; zeros where no face was found.
        quality: float64 (n,), of those faces, 0 to 1; 0 where no face was found.
        found: number of images with a face.
    """

    people: Mapping[str, Sequence[Path]]
    names: tuple[str, ...]
    templates: Templates
    quality: Floats
    found: int

    def positions(self) -> dict[Path, int]:
        """Image -> row."""
        return {path: row for row, path in enumerate(path for name in self.names for path in self.people[name])}

    def without(self, names: Collection[str]) -> Templates:
        """The templates of all people but these; people are renumbered."""
        kept = np.array([name not in names for name in self.names])
        rows = kept[self.templates.people]
        numbers = np.cumsum(kept) - 1
        return Templates(self.templates.vectors[rows], numbers[self.templates.people[rows]])


def read(people: Mapping[str, Sequence[Path]], reader: FaceReader) -> Photographs:
    """Detect, align and embed every image."""
    names = tuple(people)
    files = [(number, path) for number, name in enumerate(names) for path in people[name]]
    vectors = np.zeros((len(files), reader.entry.dimension or 0), np.float32)
    quality = np.zeros(len(files))
    found = 0
    for row, (_, path) in enumerate(track(files, description="Embedding")):
        one = reader.central(path.read_bytes())
        if one is not None:
            vectors[row], quality[row] = one.template, one.face.quality.value
            found += 1
    numbers = np.array([number for number, _ in files])
    return Photographs(people, names, Templates(vectors, numbers), quality, found)


def groups_of(people: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """The rows of each person."""
    order = np.argsort(people, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(people[order])) + 1)
