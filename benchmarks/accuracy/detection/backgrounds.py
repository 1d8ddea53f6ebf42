"""Images without a face: parts of photographs beside their faces, scikit-image's images, mosaics of the parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from serve_app.domain import Pixels
from serve_app.vision.yunet import YuNet

WITHOUT_PEOPLE = (
    "brick", "cell", "chelsea", "clock", "coffee", "coins", "colorwheel", "grass", "gravel", "horse",
    "hubble_deep_field", "immunohistochemistry", "moon", "page", "retina", "rocket", "text",
)  # fmt: skip
"""Images of scikit-image without people; those that it would have to download are left out."""

LEAST_WIDTH = 50
"""Pixels; narrower parts are not used."""

LOOKS = (320, 640, 1280)
"""Long sides at which faces are looked for in a photograph, to keep parts away from them."""

MOSAICS = 5
"""Images of each size made of the parts."""


def face_free(
    doubtful: YuNet,
    pictures: Sequence[Path],
    count: int,
    sizes: Sequence[tuple[int, int]],
    random: np.random.Generator,
) -> Iterator[tuple[str, str, Pixels]]:
    """Kind, name and pixels of up to ``count`` images without a face.

    Args:
        doubtful: a detector with a low threshold; parts are cut away from its faces.
        pictures: photographs that the parts are cut from.
        sizes: of the mosaics, width and height.
    """
    given = 0
    for name, pixels in skimage_pictures():
        given += 1
        yield "scikit-image", name, pixels
    parts: list[Pixels] = []
    for position in random.permutation(len(pictures)):
        if given + len(parts) + MOSAICS * len(sizes) >= count:
            break
        part = beside_faces(doubtful, np.asarray(cv2.imread(str(pictures[position])), np.uint8))
        if part is not None:
            parts.append(part)
            yield "background", pictures[position].name, part
    for size in sizes if parts else ():
        for number in range(MOSAICS):
            yield "mosaic", f"{size[0]}x{size[1]} {number}", mosaic(parts, size, random)


def skimage_pictures() -> Iterator[tuple[str, Pixels]]:
    """Name and pixels of the images in :data:`WITHOUT_PEOPLE` that are installed."""
    from skimage import data

    for name in WITHOUT_PEOPLE:
        try:
            pixels = np.asarray(getattr(data, name)())
        except (AttributeError, OSError, ImportError):  # not in this version, or not in the installed package
            continue
        pixels = pixels.astype(np.uint8) * (255 if pixels.dtype == bool else 1)
        colour = np.dstack([pixels] * 3) if pixels.ndim == 2 else pixels[..., 2::-1]
        yield name, np.ascontiguousarray(colour)


def beside_faces(doubtful: YuNet, pixels: Pixels) -> Pixels | None:
    """The widest strip from top to bottom away from all (also doubtful) faces; None if it is too narrow or black."""
    free = np.ones(pixels.shape[1] + 2, bool)
    free[[0, -1]] = False
    looks = [doubtful.look(pixels, side) for side in LOOKS]
    for x, _, width, _ in np.concatenate([look.boxes for look in looks]):
        free[max(1, int(x - width / 2) + 1) : max(1, int(x + 1.5 * width) + 2)] = False
    ends = np.flatnonzero(~free)
    widest = int(np.argmax(np.diff(ends)))
    left, right = int(ends[widest]), int(ends[widest + 1]) - 1
    strip = pixels[:, left:right]
    black = strip.size and float((strip.max(axis=2) == 0).mean())  # LFW's images are rotated and have black corners
    return np.ascontiguousarray(strip) if right - left >= LEAST_WIDTH and black < 0.3 else None


def mosaic(parts: Sequence[Pixels], size: tuple[int, int], random: np.random.Generator) -> Pixels:
    """Parts side by side in rows, not scaled."""
    canvas = np.zeros((size[1], size[0], 3), np.uint8)
    for top in range(0, size[1], parts[0].shape[0]):
        left = 0
        while left < size[0]:
            part = parts[int(random.integers(len(parts)))][: size[1] - top, : size[0] - left]
            canvas[top : top + part.shape[0], left : left + part.shape[1]] = part
            left += part.shape[1]
    return canvas
