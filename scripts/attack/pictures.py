"""Images below the limits of bytes and pixels that are cheap to send and dear to read."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from functools import cache, partial

from scripts.attack.bodies import PART, body
from scripts.attack.inputs import MB, SEARCH, Input, Make, at_once

PIXELS = 6320
"""Side of a square image just below 40 megapixels."""

UNPACKED = 3 * PIXELS**2
FORM = "multipart/form-data; boundary=b"


def _segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def _bits(text: str) -> bytes:
    """Entropy-coded data of a JPEG."""
    text += "1" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big").replace(b"\xff", b"\xff\0")


@cache
def jpeg_of_scans(side: int, scans: int) -> bytes:
    """A grey progressive JPEG, each scan of which says "nothing new" of all blocks: 50 bytes for 625,000 blocks."""
    left = (side // 8) ** 2
    frame = _segment(0xC2, struct.pack(">BHHB", 8, side, side, 1) + b"\x01\x11\0")
    tables = _segment(0xC4, b"\0\1" + bytes(16)) + _segment(0xC4, b"\x10\1" + bytes(15) + b"\xe0")
    first = _segment(0xDA, b"\1\1\0\0\0\0") + _bits("0" * left)
    coefficients = ""
    while left > 0:  # each code is a run of 2**14 to 2**15 - 1 blocks
        run = max(min(left, 2**15 - 1), 2**14)
        coefficients += "0" + format(run - 2**14, "014b")
        left -= run
    again = _segment(0xDA, b"\1\1\0\1\x3f\0") + _bits(coefficients)
    return b"\xff\xd8" + _segment(0xDB, b"\0" + b"\x10" * 64) + frame + tables + first + again * scans + b"\xff\xd9"


@cache
def jpeg_of_segments(number: int, marker: int = 0xFE) -> bytes:
    """A small JPEG after a number of empty segments: of comments, or of another kind."""
    return b"\xff\xd8" + _segment(marker, b"") * number + jpeg_of_scans(64, 1)[2:]


@cache
def jpeg_of_filling(size: int) -> bytes:
    """A small JPEG with a number of bytes of filling before a marker."""
    return b"\xff\xd8" + b"\xff" * size + jpeg_of_scans(64, 1)[2:]


@cache
def jpeg_of_exif(entries: int) -> bytes:
    """A small JPEG whose EXIF directory has a number of entries, each of which claims most of the segment."""
    size = 65_000 - 12 * entries
    directory = b"".join(struct.pack(">HHII", tag, 1, size, 8) for tag in range(1, entries + 1))
    tiff = b"MM\0\x2a\0\0\0\x08" + struct.pack(">H", entries) + directory + bytes(4) + bytes(size)
    return b"\xff\xd8" + _segment(0xE1, b"Exif\0\0" + tiff[:65_500]) + jpeg_of_scans(64, 1)[2:]


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


@cache
def png(side: int, depth: int = 8, colour: int = 2, interlaced: bool = False, before: bytes = b"") -> bytes:
    """A black PNG. ``colour``: 0 grey, 2 RGB, 6 RGBA; ``before``: chunks before the pixels."""
    header = struct.pack(">IIBBBBB", side, side, depth, colour, 0, 0, int(interlaced))
    row = 1 + side * depth // 8 * {0: 1, 2: 3, 6: 4}[colour]
    packer = zlib.compressobj(6)
    # An interlaced image has more rows in all, but fewer bytes in each.
    pixels = b"".join(packer.compress(bytes(row)) for _ in range(side + (side if interlaced else 0)))
    data = _chunk(b"IDAT", pixels + packer.flush())
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + before + data + _chunk(b"IEND", b"")


@cache
def packed_text(megabytes: int, name: bytes = b"zTXt") -> bytes:
    """A chunk whose text, or profile (``iCCP``), unpacks to a number of MB."""
    return _chunk(name, b"a\0\0" + zlib.compress(bytes(megabytes * MB), 9))


def png_of_chunks(number: int) -> bytes:
    """A small PNG with a number of empty chunks."""
    return png(64, before=_chunk(b"tEXt", b"a\0") * number)


@cache
def webp(width: int, height: int) -> bytes:
    """A lossless WebP of one colour."""
    from PIL import Image

    written = io.BytesIO()
    Image.new("RGB", (width, height)).save(written, "WEBP", lossless=True, method=0)
    return written.getvalue()


def webp_of_chunks(number: int) -> bytes:
    """A small WebP with a number of chunks that mean nothing."""
    content = b"WEBP" + _webp_flags(64, 64) + b"NONE\0\0\0\0" * number + webp(64, 64)[12:]
    return b"RIFF" + struct.pack("<I", len(content)) + content


def _webp_flags(width: int, height: int) -> bytes:
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"VP8X" + struct.pack("<II", 10, 0) + size


def bmp(side: int) -> bytes:
    """A BMP in run-length encoding whose pixels end before the first one."""
    palette = bytes(1024)
    info = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 8, 1, 2, 0, 0, 256, 0) + palette
    return b"BM" + struct.pack("<IHHI", 14 + len(info) + 2, 0, 0, 14 + len(info)) + info + b"\0\1"


def form(image: Callable[[], bytes]) -> bytes:
    """A form with the image."""
    return PART.replace(b'"%b"', b'"image"; filename="a"') + image() + b"\r\n--b--\r\n"


def _image(name: str, copies: int, make: Callable[[], bytes], short: Callable[[], bytes] | None = None) -> Input:
    def send(image: Callable[[], bytes]) -> Make:
        return body("POST", "/v1/detect", partial(form, image), FORM, "search")

    small = at_once(2, send(short)) if short else None
    return Input(name, SEARCH, at_once(copies, send(make)), small, seconds=20, unpacked=2 * UNPACKED)


INPUTS = (
    _image("JPEGs of 5,000 scans", 2, partial(jpeg_of_scans, PIXELS, 5000), partial(jpeg_of_scans, PIXELS, 1000)),
    _image("JPEGs of 90 scans, eight at once", 8, partial(jpeg_of_scans, PIXELS, 90)),
    _image("small JPEGs of a million scans", 2, partial(jpeg_of_scans, 128, 10**6), partial(jpeg_of_scans, 128, 10**5)),
    _image("JPEGs of 4 million comments", 2, partial(jpeg_of_segments, 4 * 10**6 - 500),
           partial(jpeg_of_segments, 10**5)),
    _image("JPEGs of 4 million APP2 segments", 2, partial(jpeg_of_segments, 4 * 10**6 - 500, 0xE2),
           partial(jpeg_of_segments, 10**5, 0xE2)),
    _image("JPEGs of 15 MB of filling", 2, partial(jpeg_of_filling, 15 * MB), partial(jpeg_of_filling, MB)),
    _image("JPEGs with 2,000 EXIF entries of 40 KB", 8, partial(jpeg_of_exif, 2000), partial(jpeg_of_exif, 2000)),
    _image("PNGs of 40 megapixels, 16 bit, RGBA", 8, partial(png, PIXELS, 16, 6), partial(png, 1000, 16, 6)),
    _image("interlaced PNGs of 40 megapixels", 8, partial(png, PIXELS, 8, 2, True), partial(png, 1000, 8, 2, True)),
    _image("PNGs with a text of 300 MB", 4, lambda: png(64, before=packed_text(300)),
           lambda: png(64, before=packed_text(50))),
    _image("PNGs with a profile of 300 MB", 4, lambda: png(64, before=packed_text(300, b"iCCP")),
           lambda: png(64, before=packed_text(50, b"iCCP"))),
    _image("PNGs of a million chunks", 2, partial(png_of_chunks, 10**6), partial(png_of_chunks, 10**5)),
    _image("WebPs of 40 megapixels", 8, partial(webp, 16_383, 2441), partial(webp, 1000, 1000)),
    _image("WebPs of a million chunks", 2, partial(webp_of_chunks, 10**6), partial(webp_of_chunks, 10**5)),
    _image("BMPs of 40 megapixels in 1 KB", 8, partial(bmp, PIXELS), partial(bmp, 1000)),
)  # fmt: skip
