"""Formats of files by their first bytes: the image formats that are read, and names for what else people send."""

from __future__ import annotations

import binascii
import re
from contextlib import suppress
from dataclasses import dataclass

from serve_app.vision import png


@dataclass(frozen=True, slots=True)
class ImageFormat:
    """An image format that is read; ``start`` and ``eighth`` are the bytes at offset 0 and at offset 8."""

    name: str
    media_type: str
    start: bytes
    eighth: bytes = b""

    def fits(self, data: bytes) -> bool:
        """Whether a file begins like this format."""
        return data.startswith(self.start) and data[8:12].startswith(self.eighth)


READ = (
    ImageFormat("JPEG", "image/jpeg", b"\xff\xd8\xff"),
    ImageFormat("PNG", "image/png", png.SIGNATURE),
    ImageFormat("WEBP", "image/webp", b"RIFF", b"WEBP"),
    ImageFormat("BMP", "image/bmp", b"BM"),
)

_OTHERS = {
    "GIF": (b"GIF87a", b"GIF89a"),
    "TIFF": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    "raw camera": (b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"\0MRM"),
    "JPEG XL": (b"\xff\x0a", b"\0\0\0\x0cJXL "),
    "JPEG 2000": (b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  "),
    "PDF": (b"%PDF",),
    "PostScript": (b"%!PS", b"\xc5\xd0\xd3\xc6"),
    "Photoshop": (b"8BPS",),
    "icon (ICO)": (b"\0\0\1\0", b"\0\0\2\0"),
    "icon (ICNS)": (b"icns",),
    "Netpbm (PBM, PGM, PPM)": tuple(b"P%d%b" % (number, blank) for number in range(1, 8) for blank in (b"\n", b" ")),
    "QOI": (b"qoif",),
    "OpenEXR": (b"\x76\x2f\x31\x01",),
    "Radiance HDR": (b"#?RADIANCE", b"#?RGBE"),
    "DDS": (b"DDS ",),
    "BPG": (b"BPG\xfb",),
    "GIMP": (b"gimp xcf",),
    "Windows metafile": (b"\xd7\xcd\xc6\x9a",),
    "Matroska or WebM video": (b"\x1aE\xdf\xa3",),
    "ZIP": (b"PK\x03\x04", b"PK\x05\x06"),
    "gzip": (b"\x1f\x8b",),
    "7-Zip": (b"7z\xbc\xaf\x27\x1c",),
    "RAR": (b"Rar!",),
}
_BY_START = tuple((start, name) for name, several in _OTHERS.items() for start in several)

_BRANDS = {
    "AVIF": {b"avif", b"avis"},
    "HEIC": {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"},
    "HEIF": {b"mif1", b"mif2", b"msf1"},
    "raw camera (CR3)": {b"crx "},
    "QuickTime video": {b"qt  "},
}
"""Brands of the container of ISO/IEC 14496-12, in the order in which they decide."""

_MARKUP = {"SVG": re.compile(rb"<svg[\s>]"), "HTML": re.compile(rb"<html|<body|<head"), "XML": re.compile(rb"<[?!a-z]")}

EXPECTED = "a JPEG, PNG, WebP or BMP file"
"""The formats that are read, for error messages."""


def format_of(data: bytes) -> ImageFormat | None:
    """The format that a file begins like, None if it is not read."""
    return next((each for each in READ if each.fits(data)), None)


def described(data: bytes) -> str:
    """What a file that is not read seems to be, for error messages."""
    name = _name_of(data) or _name_of_text(data)
    if name:
        return f"a file of the format {name}"
    if not data.strip(b"\0"):
        return f"{len(data)} bytes that are all zero"
    return f"{len(data)} bytes that begin with {data[:8].hex(' ')}"


def _name_of(data: bytes) -> str | None:
    if (known := format_of(data)) is not None:
        return known.name
    if data[4:8] == b"ftyp":
        end = min(int.from_bytes(data[:4], "big"), 256)
        brands = {data[8:12], *(data[at : at + 4] for at in range(16, end, 4))}
        return next((name for name, of_it in _BRANDS.items() if brands & of_it), "MP4 video")
    if data.startswith(b"RIFF"):
        return "AVI video" if data[8:12] == b"AVI " else "RIFF"
    if data[128:132] == b"DICM":
        return "DICOM"
    return next((name for start, name in _BY_START if data.startswith(start)), None)


def _name_of_text(data: bytes) -> str | None:
    text = data[:1000].removeprefix(b"\xef\xbb\xbf").strip()
    if not text or not text.isascii() or b"\0" in text:
        return None
    if text.startswith(b"<"):
        return next((name for name, pattern in _MARKUP.items() if pattern.search(text.lower())), "text")
    if text.startswith((b"http://", b"https://")):
        return "text, a URL, which a field of its own takes"
    start = b"".join(text.rpartition(b",")[2].split())[:32]
    with suppress(binascii.Error):
        if (inside := format_of(binascii.a2b_base64(start))) is not None:
            return f"text, base64 of a {inside.name} file, which a field of its own takes"
    return "JSON" if text.startswith((b"{", b"[")) else "text"
