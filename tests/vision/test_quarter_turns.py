"""Quarter turns of pictures: what lies at a point lies at the turned point of the turned picture."""

from __future__ import annotations

import numpy as np
import pytest

from serve_app.vision.quarter_turns import boxes_in_picture, points_in_picture, upright_boxes, upright_view

WIDTH, HEIGHT = 7, 5
TURNS = (0, 90, 180, 270)


@pytest.mark.parametrize("turned", TURNS)
def test_points_of_the_view_are_found_in_the_picture(turned: int) -> None:
    pixels = np.arange(WIDTH * HEIGHT * 3, dtype=np.uint8).reshape(HEIGHT, WIDTH, 3)
    view = upright_view(pixels, turned)
    rows, columns = np.indices(view.shape[:2])
    points = np.stack([columns, rows], axis=-1).astype(np.float32)
    x, y = np.moveaxis(points_in_picture(points, turned, WIDTH, HEIGHT).astype(int), -1, 0)
    np.testing.assert_array_equal(pixels[y, x], view)


@pytest.mark.parametrize(("turned", "expected"), [(0, (1, 2, 4, 2)), (90, (2, 1, 2, 4)), (180, (1, 0, 4, 2))])
def test_boxes(turned: int, expected: tuple[float, ...]) -> None:
    box = np.array([1, 2, 4, 2], np.float32)
    np.testing.assert_array_equal(upright_boxes(box, turned, WIDTH, HEIGHT), expected)


@pytest.mark.parametrize("turned", TURNS)
def test_boxes_and_back(turned: int) -> None:
    boxes = np.array([[1, 2, 4, 2], [-3, 0, 20, 1]], np.float32)
    there = upright_boxes(boxes, turned, WIDTH, HEIGHT)
    np.testing.assert_array_equal(boxes_in_picture(there, turned, WIDTH, HEIGHT), boxes)


def test_clockwise() -> None:
    """The top of a face that is turned by 90 degrees clockwise is on the right."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[:, -1] = 255
    assert (upright_view(pixels, 90)[0] == 255).all()
