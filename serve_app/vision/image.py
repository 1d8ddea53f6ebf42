"""Image files: decoding to upright pixels, and JPEG encoding.

Sizes, and what else makes a small file dear to decode, are checked in the file's header before decoding. Between the
attempts to decode a file, work that nobody waits for any more is ended.
"""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Callable, Sequence
from typing import cast

import cv2
import numpy as np
from PIL.BmpImagePlugin import BmpImageFile
from PIL.Image import DecompressionBombError, DecompressionBombWarning
from PIL.ImageFile import ImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from serve_app.cancellation import check_wanted
from serve_app.domain import ImageInfo, Pixels
from serve_app.errors import ImageDimensions, ImageError, ImageFormatUnsupported, ImageTooLarge, ImageUndecodable
from serve_app.settings import Limits
from serve_app.vision import image_formats, jpeg, png, webp
from serve_app.vision.turns import DECODED_BESIDE, check_turn

# The plugins are used directly: `PIL.Image.open` tries more formats and applies its own size limits. That of JPEG is
# not used: it takes seconds for a file of millions of segments or fill bytes.
_HEADER_READERS: dict[str, type[ImageFile]] = {
    "PNG": PngImageFile,
    "WEBP": WebPImageFile,
    "BMP": BmpImageFile,
}

_CLEANERS: dict[str, Callable[[bytes], bytes]] = {"PNG": png.essential, "WEBP": webp.ended}
"""What is made of a file before it is read."""

_COMPLETIONS: dict[str, Callable[[bytes], Sequence[bytes]]] = {
    "JPEG": jpeg.completions,
    "PNG": png.completions,
}
"""Ways to end a file that lacks its end; see :func:`serve_app.vision.jpeg.completions`."""

_REDUCED = {2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4, 8: cv2.IMREAD_REDUCED_COLOR_8}

# A client must not be able to fill the log, so the messages of OpenCV and Pillow about damaged files are silenced; the
# client gets the error in the response. libjpeg and libpng still write one or two lines per file (see png.py).
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
warnings.filterwarnings("ignore", module=r"PIL\.")

# Images are processed in parallel, each on one thread: at these sizes OpenCV's threads cost more than they save.
cv2.setNumThreads(1)


def read_image(
    data: bytes, limits: Limits, *, long_side: int = 0, beside: int = DECODED_BESIDE
) -> tuple[ImageInfo, Pixels]:
    """Decode a JPEG, PNG, WebP or BMP file.

    EXIF orientation is applied. Grey, palette, CMYK and 16-bit images are converted; transparency is dropped; of an
    animation the first frame is taken.

    Args:
        data: the file's content.
        limits: largest file in bytes, largest image in pixels, shortest side.
        long_side: a JPEG is decoded at a half, a quarter or an eighth of its size while its long side stays at least
            this long, in pixels, which takes a third of the time. 0 decodes at full size.
        beside: most pixels that are decoded beside other pictures (:mod:`.turns`).

    Returns:
        Facts about the file, with the upright size of the full image, and its pixels: uint8 (height, width, 3) BGR.

    Raises:
        ImageTooLarge: more bytes or pixels than ``limits`` allow, or more scans or chunks than any usual file has.
        ImageFormatUnsupported: none of the four formats, or a JPEG of another kind than baseline and progressive.
        ImageDimensions: a side is shorter than ``limits.min_image_side``.
        ImageUndecodable: damaged, truncated or empty. A file whose last bytes are missing is decoded if all pixels are
            there.
    """
    if len(data) > limits.max_image_bytes:
        text = f"The image has {len(data)} bytes; at most {limits.max_image_bytes} are accepted."
        raise ImageTooLarge(text, num_bytes=len(data), max_bytes=limits.max_image_bytes)
    container = _sniff(data)
    content = _CLEANERS[container](data) if container in _CLEANERS else data
    head = _jpeg_head(data) if container == "JPEG" else None
    width, height = head[:2] if head is not None else _header_size(content, container)
    if width * height > limits.max_image_pixels:
        text = f"The image has {width} x {height} pixels; at most {limits.max_image_pixels} are accepted."
        raise ImageTooLarge(text, width=width, height=height, max_pixels=limits.max_image_pixels)
    if min(width, height) < limits.min_image_side:
        text = f"The image has {width} x {height} pixels; each side needs at least {limits.min_image_side}."
        raise ImageDimensions(text, width=width, height=height, min_side=limits.min_image_side)
    if head is not None:
        jpeg.check_scans(data, head, limits.max_image_pixels)
    elif container == "PNG":
        png.check_excess(content)
    fits = [n for n in _REDUCED if long_side and container == "JPEG" and max(width, height) >= n * long_side]
    reduction = max(fits, default=1)
    reduced = math.ceil(width / reduction), math.ceil(height / reduction)
    check_turn(math.prod(reduced), beside)
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
    if not data:
        raise ImageUndecodable("The image is empty (0 bytes).")
    found = image_formats.format_of(data)
    if found is None:
        raise ImageFormatUnsupported(f"Expected {image_formats.EXPECTED}; got {image_formats.described(data)}.")
    return found.name


def _jpeg_head(data: bytes) -> jpeg.Head:
    try:
        return jpeg.read_head(data)
    except ValueError as error:
        raise _undecodable(data, "JPEG") from error


def _header_size(data: bytes, container: str) -> tuple[int, int]:
    try:
        with _HEADER_READERS[container](io.BytesIO(data)) as header:
            return header.size
    except (DecompressionBombError, DecompressionBombWarning) as error:
        raise ImageTooLarge(f"The image has more pixels than are accepted: {error}", format=container) from error
    except Exception as error:  # Pillow's header readers raise many kinds of exceptions on hostile bytes
        raise _undecodable(data, container) from error


def _decode(data: bytes, container: str, size: tuple[int, int], mode: int) -> Pixels:
    pixels = _decoded(data, size, mode)
    if pixels is None:  # cameras leave out the last bytes of a file; it is taken if all pixels are there
        variants = _COMPLETIONS[container](data) if container in _COMPLETIONS else ()
        ended = (_decoded(each, size, mode) for each in variants)
        pixels = next(ended, None)
        if pixels is None or not all(each is not None and np.array_equal(each, pixels) for each in ended):
            raise _undecodable(data, container)
    return pixels


def _decoded(data: bytes, size: tuple[int, int], mode: int) -> Pixels | None:
    check_wanted()
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), mode)
    except cv2.error:
        return None
    if pixels is None or sorted(pixels.shape[:2]) != sorted(size):
        return None
    return cast(Pixels, pixels)


def _undecodable(data: bytes, container: str) -> ImageError:
    unreadable = jpeg.unreadable(data) if container == "JPEG" else None
    if unreadable:
        return ImageFormatUnsupported(f"The JPEG file {unreadable}; save it as a usual JPEG or as PNG.")
    return ImageUndecodable(f"The {container} file is damaged or truncated.", format=container)
