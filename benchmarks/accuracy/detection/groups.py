"""Group images composed of single heads, with known face boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from serve_app.domain import Pixels
from serve_app.vision.yunet import YuNet

Boxes = NDArray[np.float32]

IOU = 0.5
"""Overlap from which a face counts as found, as in WIDER FACE's evaluation."""

MARGIN = 2.2
"""Side of the square that is cut out around a face, in widths of the face."""

CELL = 3.0
"""Side of a cell of the canvas, which holds one head, in widths of the face."""


@dataclass(frozen=True, eq=False)
class Heads:
    """Cut-out heads.

    Attributes:
        pixels: uint8 (height, width, 3) BGR each.
        boxes: float32 (n, 4): the face in each; x, y, width, height.
    """

    pixels: Sequence[Pixels]
    boxes: Boxes

    @classmethod
    def cut(cls, detector: YuNet, pictures: Sequence[Path]) -> Heads:
        """Cut heads from the images with exactly one face, so that no bystander is on the composed ones.

        Raises:
            ValueError: no image has exactly one face.
        """
        pixels, boxes = [], []
        for picture in pictures:
            whole = np.asarray(cv2.imread(str(picture)), np.uint8)
            found = detector.detect(whole).boxes
            if len(found) != 1:
                continue
            x, y, width, height = (float(value) for value in found[0])
            reach = MARGIN * width / 2
            left, top = max(0, round(x + width / 2 - reach)), max(0, round(y + height / 2 - reach))
            right, bottom = round(x + width / 2 + reach), round(y + height / 2 + reach)
            pixels.append(whole[top:bottom, left:right])
            boxes.append([x - left, y - top, width, height])
        if not pixels:
            raise ValueError("an image with exactly one face was expected")
        return cls(pixels, np.asarray(boxes, np.float32))


def compose(
    heads: Heads, size: tuple[int, int], width: float, most: int, random: np.random.Generator
) -> tuple[Pixels, Boxes]:
    """An image of up to ``most`` heads in random cells of a grid, with faces of ``width`` pixels; the faces' boxes."""
    canvas = np.empty((size[1], size[0], 3), np.uint8)
    canvas[:] = np.linspace(random.uniform(40, 120), random.uniform(120, 220), size[0])[None, :, None]
    cell = int(CELL * width)
    places = [(column * cell, row * cell) for row in range(size[1] // cell) for column in range(size[0] // cell)]
    boxes = []
    for place in random.permutation(len(places))[:most]:
        head = int(random.integers(len(heads.pixels)))
        x, y, face_width, face_height = heads.boxes[head] * (width / heads.boxes[head, 2])
        scale = width / heads.boxes[head, 2]
        rows, columns = heads.pixels[head].shape[:2]
        new = (max(1, round(columns * scale)), max(1, round(rows * scale)))
        small = cv2.resize(heads.pixels[head], new, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
        left = places[place][0] + int(random.integers(0, cell - new[0] + 1))
        top = places[place][1] + int(random.integers(0, cell - new[1] + 1))
        canvas[top : top + new[1], left : left + new[0]] = small
        boxes.append([left + x, top + y, face_width, face_height])
    return canvas, np.asarray(boxes, np.float32)


def overlap(a: Boxes, b: Boxes) -> NDArray[np.float32]:
    """IoU of each box of ``a`` (rows) with each box of ``b`` (columns)."""
    first, second = a[:, None], b[None]
    corner = np.maximum(first[..., :2], second[..., :2])
    common = np.clip(np.minimum(first[..., :2] + first[..., 2:], second[..., :2] + second[..., 2:]) - corner, 0, None)
    shared = common.prod(axis=2)
    return np.asarray(shared / (first[..., 2:].prod(axis=2) + second[..., 2:].prod(axis=2) - shared), np.float32)
