"""Pixels to what a graph takes."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from serve_app.domain import Pixels
from serve_app.vision.catalogue import InputSpec


def to_tensor(images: NDArray[np.uint8], spec: InputSpec) -> NDArray[np.float32]:
    """Normalised input of a model.

    Args:
        images: uint8 (n, height, width, 3) BGR.
        spec: channel order, mean and scale.

    Returns:
        float32 (n, 3, height, width), contiguous: ``(pixel - mean) * scale``.
    """
    count, height, width, _ = images.shape
    tensor = np.empty((count, 3, height, width), np.float32)
    order = (2, 1, 0) if spec.channels == "RGB" else (0, 1, 2)
    for plane, channel in enumerate(order):
        tensor[:, plane] = images[..., channel]
    if any(spec.mean):
        tensor -= np.asarray(spec.mean, np.float32)[:, None, None]
    if spec.scale != 1.0:
        tensor *= np.float32(spec.scale)
    return tensor


def shrink_or_grow(pixels: Pixels, width: int, height: int) -> Pixels:
    """Resize to exactly this size; by area averaging when shrinking, so that fine texture does not turn into noise."""
    if pixels.shape[:2] == (height, width):
        return pixels
    shrinks = width < pixels.shape[1] and height < pixels.shape[0]
    resized: Pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return resized
