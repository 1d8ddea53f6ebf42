"""Images that benchmarks make from those of a data set: decode, pad to 640x480, crop, encode."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from serve_app.domain import Pixels

WIDTH, HEIGHT, QUALITY = 640, 480, 90


def camera_picture(portrait: bytes) -> bytes:
    """A 640x480 JPEG: the portrait scaled to the full height, its left and right border columns continued.

    Raises:
        ValueError: the bytes are no image, or one that is wider than 640x480.
    """
    pixels = decode(portrait)
    height, width = pixels.shape[:2]
    scaled = cv2.resize(pixels, (round(width * HEIGHT / height), HEIGHT), interpolation=cv2.INTER_CUBIC)
    missing = WIDTH - scaled.shape[1]
    if missing < 0:
        raise ValueError(f"a portrait no wider than {WIDTH}x{HEIGHT} was expected, got {width}x{height}")
    left = missing // 2
    padded = cv2.copyMakeBorder(scaled, 0, 0, left, missing - left, cv2.BORDER_REPLICATE)
    return encode(np.asarray(padded, np.uint8))


def crop(image: bytes, box: Mapping[str, float], scale: float = 2.0) -> bytes:
    """The part of an image around a face, as JPEG.

    Args:
        box: of the face, as the API gives it: x, y, width, height in pixels.
        scale: of the part's sides to the box's; the part ends at the image's borders.

    Raises:
        ValueError: the bytes are no image.
    """
    pixels = decode(image)
    height, width = pixels.shape[:2]
    margin_x, margin_y = (scale - 1) / 2 * box["width"], (scale - 1) / 2 * box["height"]
    left, right = max(0, round(box["x"] - margin_x)), min(width, round(box["x"] + box["width"] + margin_x))
    top, bottom = max(0, round(box["y"] - margin_y)), min(height, round(box["y"] + box["height"] + margin_y))
    return encode(pixels[top:bottom, left:right])


def decode(image: bytes) -> Pixels:
    """Pixels, uint8 (height, width, 3) BGR.

    Raises:
        ValueError: the bytes are no image.
    """
    pixels = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        raise ValueError("the image cannot be decoded")
    return np.asarray(pixels, np.uint8)


def encode(pixels: Pixels) -> bytes:
    """A JPEG of quality 90."""
    done, buffer = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not done:
        raise ValueError("the image cannot be encoded")
    return buffer.tobytes()
