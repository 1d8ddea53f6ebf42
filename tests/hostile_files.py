"""Files that are cheap to send and dear to read, made by code: images and zips."""

from __future__ import annotations

import struct
import zipfile
import zlib
from io import BytesIO

from PIL import Image

MEBIBYTE = 2**20


def segment(marker: int, content: bytes) -> bytes:
    """A segment of a JPEG file."""
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def _entropy_coded(bits: str) -> bytes:
    bits += "1" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")


def many_scans(side: int, scans: int, between: bytes = b"") -> bytes:
    """A grey progressive JPEG, each AC scan of which says that all blocks stay as they are.

    ``between`` stands before the first of these scans.
    """
    left = (-(-side // 8)) ** 2
    frame = struct.pack(">BHHB", 8, side, side, 1) + b"\x01\x11\0"
    head = b"\xff\xd8" + segment(0xDB, b"\0" + b"\x10" * 64) + segment(0xC2, frame)
    head += segment(0xC4, b"\0\1" + b"\0" * 15 + b"\0") + segment(0xC4, b"\x10\1" + b"\0" * 15 + b"\xe0")
    head += segment(0xDA, b"\1\1\0\0\0\0") + _entropy_coded("0" * left)
    runs = ""
    while left > 0:  # EOB14 with 14 further bits: a run of 2**14 to 2**15 - 1 blocks
        run = max(min(left, 2**15 - 1), 2**14)
        runs += "0" + format(run - 2**14, "014b")
        left -= run
    scan = segment(0xDA, b"\1\1\0\1\x3f\0") + _entropy_coded(runs)
    return head + between + scan * scans + b"\xff\xd9"


def jpeg(side: int = 64, **options: bool) -> bytes:
    """An ordinary JPEG."""
    made = BytesIO()
    Image.linear_gradient("L").resize((side, side)).convert("RGB").save(made, "JPEG", **options)
    return made.getvalue()


def png_chunk(kind: bytes, content: bytes = b"") -> bytes:
    """A chunk of a PNG file."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(side: int = 64, *, before: bytes = b"", hidden: int = 0) -> bytes:
    """A grey PNG with chunks ``before`` the pixels, and compressed bytes of zeros, ``hidden`` of them, behind them."""
    packer = zlib.compressobj(9)
    pixels = packer.compress(bytes((side + 1) * side)) + packer.flush(zlib.Z_FULL_FLUSH)
    zeros = packer.compress(bytes(MEBIBYTE)) + packer.flush(zlib.Z_FULL_FLUSH)
    content = pixels + zeros * (hidden // len(zeros)) + packer.flush()
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + before + png_chunk(b"IDAT", content) + png_chunk(b"IEND")


def zip_of(entries: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip with these entries."""
    made = BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return made.getvalue()


def zip_of_one(name: str, piece: bytes, times: int) -> bytes:
    """A zip with one entry that unpacks to a piece, repeated."""
    made = BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive, archive.open(name, "w") as file:
        for _ in range(times):
            file.write(piece)
    return made.getvalue()


def with_zip64_end(plain: bytes) -> bytes:
    """The same zip with a second end record (zip64), which counts; the usual one says that there are no entries."""
    end = len(plain) - 22
    number, size, begin = struct.unpack_from("<HII", plain, end + 10)
    record = struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, number, number, size, begin)
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, end, 1)
    return plain[:end] + record + locator + b"PK\x05\x06" + bytes(18)


def overlapping_zip(names: list[str], content: bytes) -> bytes:
    """A zip whose entries share one content."""
    plain = zip_of({names[0]: content}, zipfile.ZIP_STORED)
    end = len(plain) - 22
    size, begin = struct.unpack_from("<II", plain, end + 12)
    entry = plain[begin : begin + size]
    head, tail = entry[:46], entry[46 + len(names[0]) :]
    directory = b"".join(head[:28] + struct.pack("<H", len(name)) + head[30:] + name.encode() + tail for name in names)
    record = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, len(names), len(names), len(directory), begin, 0)
    return plain[:begin] + directory + record
