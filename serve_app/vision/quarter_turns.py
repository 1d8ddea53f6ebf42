"""Geometry of pictures that are turned by quarter turns: pixels, points and boxes.

``turned`` is in degrees clockwise, as seen: a face with ``turned`` 90 has the top of its head to the right. Its upright
view is the picture turned back, anticlockwise, by as much. ``width`` and ``height`` are always those of the picture.
"""

from __future__ import annotations

from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from serve_app.domain import Pixels

Turned = Literal[0, 90, 180, 270]

Real = TypeVar("Real", np.float32, np.float64)


def upright_view(pixels: Pixels, turned: int) -> Pixels:
    """The picture turned back, as a view: uint8 (width, height, 3) for 90 and 270 degrees."""
    return np.rot90(pixels, turned // 90) if turned else pixels


def upright_points(points: NDArray[Real], turned: int, width: int, height: int) -> NDArray[Real]:
    """Points (..., 2) of the picture in its upright view."""
    for _ in range(turned // 90):
        points = np.stack([points[..., 1], width - 1 - points[..., 0]], axis=-1)
        width, height = height, width
    return points


def upright_boxes(boxes: NDArray[Real], turned: int, width: int, height: int) -> NDArray[Real]:
    """Boxes (..., 4) of the picture (x, y, width, height) in its upright view."""
    if not turned:
        return boxes
    ends = np.stack([boxes[..., :2], boxes[..., :2] + boxes[..., 2:]])
    corners = upright_points(ends, turned, width, height)
    return np.concatenate([corners.min(axis=0), np.abs(corners[1] - corners[0])], axis=-1)


def points_in_picture(points: NDArray[Real], turned: int, width: int, height: int) -> NDArray[Real]:
    """Points (..., 2) of the upright view in the picture."""
    return upright_points(points, -turned % 360, *_view_size(turned, width, height))


def boxes_in_picture(boxes: NDArray[Real], turned: int, width: int, height: int) -> NDArray[Real]:
    """Boxes (..., 4) of the upright view in the picture."""
    return upright_boxes(boxes, -turned % 360, *_view_size(turned, width, height))


def _view_size(turned: int, width: int, height: int) -> tuple[int, int]:
    return (height, width) if turned % 180 else (width, height)
