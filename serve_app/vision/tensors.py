"""Conversion of pixels to model input tensors."""

from __future__ import annotations

from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from serve_app.domain import Pixels
from serve_app.vision.catalogue import InputSpec


def to_tensor(images: NDArray[np.uint8], spec: InputSpec) -> NDArray[np.float32]:
    """Normalised input of a model: ``(pixel - mean) * scale``.

    Takes uint8 (n, height, width, 3) BGR; returns float32 (n, 3, height, width), contiguous.
    """
    count, height, width, _ = images.shape
    tensor = np.empty((count, 3, height, width), np.float32)
    order = (2, 1, 0) if spec.channels == "RGB" else (0, 1, 2)
    for image, planes in zip(images, tensor, strict=True):
        # cv2.split takes a third of the time of slices, whose pixels lie 3 bytes apart.
        channels = cv2.split(np.ascontiguousarray(image))
        for plane, channel in zip(planes, order, strict=True):
            plane[:] = channels[channel]
    if any(spec.mean):
        tensor -= np.asarray(spec.mean, np.float32)[:, None, None]
    if spec.scale != 1.0:
        tensor *= np.float32(spec.scale)
    return tensor


def resize(pixels: Pixels, width: int, height: int) -> Pixels:
    """Resize uint8 (h, w, 3) pixels to exactly this size; no content moves by more than one pixel of the result.

    A bilinear resize reads four pixels, so beyond a factor of two it would turn fine texture into noise. Larger images
    are therefore halved by averaging first, which is as good as averaging in one step and much faster (5 against 41 ms
    from 4000x3000 to 640x480).
    """
    if pixels.shape[:2] == (height, width):
        return pixels
    while pixels.shape[1] >= 2 * width and pixels.shape[0] >= 2 * height:
        rows, columns = pixels.shape[0] // 2, pixels.shape[1] // 2
        even = pixels[: 2 * rows, : 2 * columns]  # exact halves take OpenCV's fast path
        pixels = cast(Pixels, cv2.resize(even, (columns, rows), interpolation=cv2.INTER_AREA))
    return cast(Pixels, cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR))
