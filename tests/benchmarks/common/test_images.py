"""Images that the benchmarks make."""

from __future__ import annotations

import numpy as np

from benchmarks.common.images import HEIGHT, WIDTH, camera_picture, crop, encode
from serve_app.settings import Limits
from serve_app.vision.image import read_image


def test_pictures_have_the_promised_sizes() -> None:
    portrait = encode(np.full((250, 250, 3), 128, np.uint8))
    info, _ = read_image(camera_picture(portrait), Limits())
    assert (info.width, info.height, info.format) == (WIDTH, HEIGHT, "JPEG")
    info, _ = read_image(crop(portrait, {"x": 200, "y": 100, "width": 40, "height": 50}), Limits())
    assert (info.width, info.height) == (70, 100)  # cut off by the right border
