"""A file whose last bytes are missing is read if all pixels are there, and refused otherwise."""

from __future__ import annotations

import io
from functools import cache
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage import data as photographs

from serve_app.domain import Pixels
from serve_app.errors import ImageError, ImageFormatUnsupported, ImageUndecodable
from serve_app.settings import Limits
from serve_app.vision.image import read_image

LIMITS = Limits()
TURNED = Image.Exif()
TURNED[0x0112] = 6


@cache
def photograph(kind: str = "RGB") -> Image.Image:
    """120 x 110 pixels: the lower part is of one colour, so that little data stands for many pixels."""
    whole = Image.fromarray(photographs.astronaut()).resize((120, 120)).crop((0, 0, 120, 110))
    whole.paste((120, 130, 140), (0, 80, 120, 110))
    return whole.convert(kind)


def file_of(container: str, kind: str = "RGB", **options: Any) -> bytes:
    buffer = io.BytesIO()
    photograph(kind).save(buffer, container, **options)
    return buffer.getvalue()


def read(data: bytes) -> Pixels:
    return read_image(data, LIMITS)[1]


JPEG = {
    "baseline": file_of("JPEG", quality=95),
    "optimised": file_of("JPEG", quality=70, optimize=True),
    "4:4:4": file_of("JPEG", subsampling=0),
    "grey": file_of("JPEG", "L"),
    "CMYK": file_of("JPEG", "CMYK"),
    "restarts": file_of("JPEG", restart_marker_blocks=3),
    "progressive": file_of("JPEG", progressive=True, quality=90),
    "progressive, grey": file_of("JPEG", "L", progressive=True),
    "turned": file_of("JPEG", exif=TURNED.tobytes()),
}
PNG = {
    "colour": file_of("PNG"),
    "palette": file_of("PNG", "P"),
    "grey": file_of("PNG", "L"),
    "grey and transparent": file_of("PNG", "LA"),
    "transparent": file_of("PNG", "RGBA"),
    "one bit": file_of("PNG", "1"),
    "16 bits": file_of("PNG", "I;16"),
}


@pytest.mark.parametrize("name", JPEG)
def test_jpeg(name: str) -> None:
    data = JPEG[name]
    whole, small = read(data), read_image(data, LIMITS, long_side=16)[1]
    for missing in (1, 2):
        assert np.array_equal(read(data[:-missing]), whole)
        assert np.array_equal(read_image(data[:-missing], LIMITS, long_side=16)[1], small)
    for length in range(len(data) - 2):
        if length % 7 == 0 or length > len(data) - 200:
            try:
                decoded = read(data[:length])
            except ImageUndecodable:
                continue
            # The last bits only said that nothing follows.
            assert length > len(data) - 6
            assert np.array_equal(decoded, whole)


def test_a_progressive_jpeg_without_its_last_scans() -> None:
    data = JPEG["progressive"]
    scans = [at for at in range(len(data) - 1) if data[at : at + 2] == b"\xff\xda"]
    assert len(scans) > 5
    for at in scans[1:]:
        for cut in (data[:at], data[: at + 1], data[: at + 8]):
            with pytest.raises(ImageUndecodable):
                read(cut)


@pytest.mark.parametrize("name", PNG)
def test_png(name: str) -> None:
    whole = read(PNG[name])
    end = PNG[name].rindex(b"IEND") - 4
    assert np.array_equal(read(PNG[name][:end]), whole)
    taken = 0
    for length in range(len(PNG[name])):
        if length % 11 == 0 or length > len(PNG[name]) - 100:
            try:
                assert np.array_equal(read(PNG[name][:length]), whole)
            except ImageUndecodable:
                assert length < end
            else:
                taken += 1
                assert length > end - 20  # the checksums of the last chunk and of its content, and the content's end
    assert taken >= 12 + 4


def test_an_interlaced_png() -> None:
    # By hand, since Pillow writes none: 3 x 3 pixels of grey would be below the limit, so 16 x 16 of one colour.
    import struct
    import zlib

    passes = ((2, 2), (2, 2), (4, 2), (4, 4), (8, 4), (8, 8), (16, 8))  # columns, rows
    raw = b"".join(b"\0" + b"\x55" * columns for columns, rows in passes for _ in range(rows))
    header = struct.pack(">IIBBBBB", 16, 16, 8, 0, 0, 0, 1)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(raw)), (b"IEND", b"")]
    whole = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )
    assert (read(whole) == 0x55).all()
    assert (read(whole[:-12]) == 0x55).all()
    with pytest.raises(ImageUndecodable):
        read(whole[:-22])


def test_webp() -> None:
    plain = {"lossy": file_of("WEBP"), "lossless": file_of("WEBP", lossless=True)}
    for name, data in plain.items():
        padding = len(data) - (8 + 12 + int.from_bytes(data[16:20], "little"))
        whole = read(data)
        for length in range(len(data)):
            if length >= len(data) - padding:
                assert np.array_equal(read(data[:length]), whole), name
            elif length % 11 == 0 or length > len(data) - 100:
                with pytest.raises(ImageError):
                    read(data[:length])


def test_webp_with_metadata() -> None:
    data = file_of("WEBP", exif=TURNED.tobytes(), xmp=b"x" * 51)
    whole = read(data)
    assert whole.shape[:2] == (120, 110)
    text = data.rindex(b"XMP ")
    for length in range(text, len(data)):
        assert np.array_equal(read(data[:length]), whole)
    for length in range(text - 40, text):  # how the picture is turned is gone
        with pytest.raises(ImageUndecodable):
            read(data[:length])


@pytest.mark.parametrize(
    ("marker", "bits", "words"),
    [
        (0xC1, 12, "has 12 bits per sample, 8 were expected"),
        (0xC0, 16, "has 16 bits per sample"),
        (0xC3, 8, "lossless, hierarchical or arithmetic"),
        (0xF7, 8, "is JPEG-LS"),
    ],
)
def test_kinds_of_jpeg_that_are_not_read(marker: int, bits: int, words: str) -> None:
    at = JPEG["baseline"].index(b"\xff\xc0")
    data = bytearray(JPEG["baseline"])
    data[at + 1], data[at + 4] = marker, bits
    with pytest.raises(ImageFormatUnsupported, match=words):
        read(bytes(data))
