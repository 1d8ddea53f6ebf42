"""Image files: decoding to upright pixels, and JPEG encoding.

Sizes are checked in the file's header before decoding, so that a small file that unpacks to gigabytes costs nothing.
"""

from __future__ import annotations

import io
import math
import warnings
from typing import cast

import cv2
import numpy as np
from PIL.BmpImagePlugin import BmpImageFile
from PIL.Image import DecompressionBombError, DecompressionBombWarning
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from serve_app.domain import ImageInfo, Pixels
from serve_app.errors import ImageDimensions, ImageFormatUnsupported, ImageTooLarge, ImageUndecodable
from serve_app.settings import Limits
from serve_app.vision import png

# The plugins are used directly: `PIL.Image.open` tries more formats and applies its own size limits.
_HEADER_READERS: dict[str, type[ImageFile]] = {
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "WEBP": WebPImageFile,
    "BMP": BmpImageFile,
}

_REDUCED = {2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4, 8: cv2.IMREAD_REDUCED_COLOR_8}

# A client must not be able to fill the log, so the messages of OpenCV and Pillow about damaged files are silenced; the
# client gets the error in the response. libjpeg and libpng still write one or two lines per file (see png.py).
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
warnings.filterwarnings("ignore", module=r"PIL\.")

# Images are processed in parallel, each on one thread: at these sizes OpenCV's threads cost more than they save.
cv2.setNumThreads(1)


def read_image(data: bytes, limits: Limits, *, long_side: int = 0) -> tuple[ImageInfo, Pixels]:
    """Decode a JPEG, PNG, WebP or BMP file.

    EXIF orientation is applied. Grey, palette, CMYK and 16-bit images are converted; transparency is dropped; of an
    animation the first frame is taken.

    Args:
        data: the file's content.
        limits: largest file in bytes, largest image in pixels, shortest side.
        long_side: a JPEG is decoded at a half, a quarter or an eighth of its size while its long side stays at least
            this long, in pixels, which takes a third of the time. 0 decodes at full size.

    Returns:
        Facts about the file, with the upright size of the full image, and its pixels: uint8 (height, width, 3) BGR.

    Raises:
        ImageTooLarge: more bytes or pixels than ``limits`` allow.
        ImageFormatUnsupported: none of the four formats.
        ImageDimensions: a side is shorter than ``limits.min_image_side``.
        ImageUndecodable: damaged, truncated or empty.
    """
    if len(data) > limits.max_image_bytes:
        text = f"The image has {len(data)} bytes; at most {limits.max_image_bytes} are accepted."
        raise ImageTooLarge(text, num_bytes=len(data), max_bytes=limits.max_image_bytes)
    container = _sniff(data)
    width, height = _header_size(data, container)
    if width * height > limits.max_image_pixels:
        text = f"The image has {width} x {height} pixels; at most {limits.max_image_pixels} are accepted."
        raise ImageTooLarge(text, width=width, height=height, max_pixels=limits.max_image_pixels)
    if min(width, height) < limits.min_image_side:
        text = f"The image has {width} x {height} pixels; each side needs at least {limits.min_image_side}."
        raise ImageDimensions(text, width=width, height=height, min_side=limits.min_image_side)
    fits = [n for n in _REDUCED if long_side and container == "JPEG" and max(width, height) >= n * long_side]
    reduction = max(fits, default=1)
    reduced = math.ceil(width / reduction), math.ceil(height / reduction)
    content = png.essential(data) if container == "PNG" else data
    pixels = _decode(content, container, reduced, _REDUCED.get(reduction, cv2.IMREAD_COLOR))
    if (pixels.shape[1], pixels.shape[0]) != reduced:  # turned by its EXIF orientation
        width, height = height, width
    info = ImageInfo(width=width, height=height, format=container, num_bytes=len(data))
    return info, pixels


def encode_jpeg(pixels: Pixels, quality: int = 95) -> bytes:
    """The JPEG file of uint8 (height, width, 3) BGR pixels; ``quality`` is 0 to 100."""
    done, encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError(f"pixels of shape {pixels.shape} and type {pixels.dtype} cannot be written as JPEG")
    return encoded.tobytes()


def _sniff(data: bytes) -> str:
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(png.SIGNATURE):
        return "PNG"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    if data.startswith(b"BM"):
        return "BMP"
    if not data:
        raise ImageUndecodable("The image is empty (0 bytes).")
    raise ImageFormatUnsupported(
        f"Expected a JPEG, PNG, WebP or BMP file; got {len(data)} bytes that begin with {data[:8].hex(' ')}."
    )


def _header_size(data: bytes, container: str) -> tuple[int, int]:
    try:
        with _HEADER_READERS[container](io.BytesIO(data)) as header:
            return header.size
    except (DecompressionBombError, DecompressionBombWarning) as error:
        raise ImageTooLarge(f"The image has more pixels than are accepted: {error}", format=container) from error
    except Exception as error:  # Pillow's header readers raise many kinds of exceptions on hostile bytes
        raise _undecodable(container) from error


def _decode(data: bytes, container: str, size: tuple[int, int], mode: int) -> Pixels:
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), mode)
    except cv2.error as error:
        raise _undecodable(container) from error
    if pixels is None or sorted(pixels.shape[:2]) != sorted(size):
        raise _undecodable(container)
    return cast(Pixels, pixels)


def _undecodable(container: str) -> ImageUndecodable:
    return ImageUndecodable(f"The {container} file is damaged or truncated.", format=container)
