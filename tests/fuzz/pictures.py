"""Seeds: small, well-formed image files of each format that is read, and of some that must be refused."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests import photos
from tests.photos import decode

SIDE = 96


@cache
def seeds() -> dict[str, bytes]:
    """By what is special about each."""
    return dict([*_common(), *_odd(), *_hostile()])


def _photo(mode: str = "RGB") -> Image.Image:
    pixels = decode(photos.astronaut())[0:256, 96:352, ::-1]
    return Image.fromarray(np.ascontiguousarray(pixels)).resize((SIDE, SIDE)).convert(mode)


def _file(image: Image.Image, container: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, container, **options)
    return buffer.getvalue()


def _common() -> Iterator[tuple[str, bytes]]:
    yield "jpeg", _file(_photo(), "JPEG")
    yield "jpeg, progressive", _file(_photo(), "JPEG", progressive=True, quality=60)
    yield "jpeg, grey", _file(_photo("L"), "JPEG")
    yield "jpeg, 4:2:0 with restart markers", _file(_photo(), "JPEG", subsampling=2, restart_marker_blocks=4)
    yield "png", _file(_photo(), "PNG")
    yield "png, palette", _file(_photo("P"), "PNG", transparency=0)
    yield "webp", _file(_photo(), "WEBP")
    yield "webp, lossless with alpha", _file(_photo("RGBA"), "WEBP", lossless=True)
    yield "bmp", _file(_photo(), "BMP")
    yield "bmp, palette", _file(_photo("P"), "BMP")
    yield "bmp, 1 bit", _file(_photo("1"), "BMP")


def _odd() -> Iterator[tuple[str, bytes]]:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker " * 100
    exif.get_ifd(0x8769)[0x9286] = b"comment " * 200
    yield "jpeg, CMYK", _file(_photo("CMYK"), "JPEG")
    yield "jpeg, EXIF", _file(_photo(), "JPEG", exif=exif, icc_profile=bytes(3000), comment=b"x" * 1000)
    yield "jpeg, several pictures", _file(_photo(), "MPO", save_all=True, append_images=[_photo("L")])
    yield "png, 16 bits", _file(Image.fromarray(np.arange(SIDE * SIDE, dtype=np.uint16).reshape(SIDE, SIDE)), "PNG")
    text = PngInfo()
    text.add_text("comment", "y" * 5000, zip=True)
    text.add_itxt("title", "ü" * 500, zip=True)
    yield "png, texts and EXIF", _file(_photo("RGBA"), "PNG", pnginfo=text, exif=exif, icc_profile=bytes(3000))
    turned = [_photo().rotate(angle) for angle in (90, 180)]
    yield "png, animated", _file(_photo(), "PNG", save_all=True, append_images=turned)
    yield "webp, animated", _file(_photo(), "WEBP", save_all=True, append_images=turned, exif=exif)


def _hostile() -> Iterator[tuple[str, bytes]]:
    jpeg, png = _file(_photo(), "JPEG"), _file(_photo(), "PNG")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("a.html", "<script>alert(1)</script>")
    yield "polyglot, JPEG and zip", jpeg + archive.getvalue()
    yield "polyglot, PNG and HTML", png[:33] + _chunk(b"teXt", b"<html><script>alert(1)</script>") + png[33:]
    yield "polyglot, JPEG in a BMP", b"BM" + jpeg[2:]
    yield "polyglot, GIF that says JPEG", b"\xff\xd8\xff" + _file(_photo("P"), "GIF")
    yield "two files in one", png + jpeg
    yield "EXIF, a directory in itself", _with_exif(jpeg, _directory_in_itself())
    yield "EXIF, directories without end", _with_exif(jpeg, _many_directories(2000))
    counts = (b"\x12\x01\x03\0" + b"\xff" * 8) * 90
    yield "EXIF, counts of 4 G", _with_exif(jpeg, b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + counts)
    yield "JPEG, 200 segments of EXIF", jpeg[:2] + 200 * _segment(0xE1, b"Exif\0\0II*\0\x08\0\0\0\0\0") + jpeg[2:]
    yield "bomb, PNG of 40,000 x 40,000", _png_header(40_000, 40_000) + _chunk(b"IDAT", zlib.compress(bytes(10**6)))
    unpacks = b"a\0\0" + zlib.compress(bytes(5 * 10**7), 9)
    yield "bomb, PNG whose text unpacks to 50 MB", png[:33] + _chunk(b"zTXt", unpacks) + png[33:]
    yield "bomb, PNG whose profile unpacks to 50 MB", png[:33] + _chunk(b"iCCP", unpacks) + png[33:]
    yield "bomb, PNG with a chunk that says 4 GB", png[:33] + struct.pack(">I4s", 2**32 - 100, b"IDAT") + bytes(16)
    yield "bomb, JPEG of 65,500 x 65,500", _resized(jpeg, 65_500)
    yield "PNG, more rows than sides say", _png_header(32, 32) + _chunk(b"IDAT", zlib.compress(bytes(10**7), 9))
    faulty = struct.pack(">I4sI", 0, b"abCd", 0) * 20_000
    yield "PNG, 20,000 faulty chunks", png[:-12] + faulty + png[-12:]
    bmp = _file(_photo(), "BMP")
    yield "bmp, sides below zero", bmp[:18] + struct.pack("<ii", -96, -96) + bmp[26:]


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _png_header(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def _with_exif(jpeg: bytes, exif: bytes) -> bytes:
    return jpeg[:2] + _segment(0xE1, exif[:65_000]) + jpeg[2:]


def _directory_in_itself() -> bytes:
    entries = struct.pack("<HHII", 0x8769, 4, 1, 8) + struct.pack("<HHII", 0x014A, 4, 1, 8)
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2) + entries + struct.pack("<I", 8)


def _many_directories(number: int) -> bytes:
    directories = b"".join(struct.pack("<HHHIII", 1, 0x0112, 3, 1, 6, 8 + 18 * (i + 1)) for i in range(number))
    return b"Exif\0\0II*\0" + struct.pack("<I", 8) + directories


def _resized(jpeg: bytes, side: int) -> bytes:
    at = jpeg.index(b"\xff\xc0") + 5
    return jpeg[:at] + struct.pack(">HH", side, side) + jpeg[at + 4 :]
