"""Zips of ``/bulk``: small to send, large or slow to look at."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from functools import cache, partial

from scripts.attack.bodies import BULK, body
from scripts.attack.inputs import ENROLL, MB, Input, Make, at_once

REFUSED = frozenset({"400", "413", "429", "503", "closed"})
UNPACKED = 64 * MB
"""What may be sent in a zip may also be unpacked from it."""

STORED, DEFLATED = 0, 8
NO_MORE = 0xFFFF


class Zip:
    """A zip, written without the checks of :mod:`zipfile`."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._directory = bytearray()
        self._entries = 0

    def add(self, name: str, packed: bytes, method: int, checksum: int, size: int) -> int:
        """Write an entry; its place."""
        place = len(self._data)
        fields = struct.pack("<HHHHHIIIHH", 20, 0, method, 0, 33, checksum, len(packed), size, len(name), 0)
        self._data += b"PK\x03\x04" + fields + name.encode() + packed
        self.refer(name, place, fields)
        return place

    def refer(self, name: str, place: int, fields: bytes) -> None:
        """Write an entry of the directory alone."""
        self._directory += b"PK\x01\x02" + struct.pack("<H", 20) + fields
        self._directory += struct.pack("<HHHII", 0, 0, 0, 0, place) + name.encode()
        self._entries += 1

    def again(self, times: int) -> None:
        """Repeat the directory as it is: all of its entries lead to the same bytes."""
        self._directory *= times
        self._entries *= times

    def content(self, zip64: bool = False) -> bytes:
        """The file. ``zip64``: the true numbers stand in the record of a zip64 alone, the usual one says zero."""
        place, size, entries = len(self._data), len(self._directory), self._entries
        end = b""
        if zip64:
            record = struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, entries, entries, size, place)
            end = b"PK\x06\x06" + record + b"PK\x06\x07" + struct.pack("<IQI", 0, place + size, 1)
        said = (
            (NO_MORE, NO_MORE, 0, 0xFFFFFFFF) if zip64 else (min(entries, NO_MORE), min(entries, NO_MORE), size, place)
        )
        return bytes(self._data + self._directory + end + b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, *said, 0))


@cache
def unpacking(name: str, piece: bytes, megabytes: int, entries: int = 1) -> bytes:
    """A zip with a file that unpacks to ``megabytes`` of a piece; ``entries`` in the directory are all this file."""
    block = piece * (MB // len(piece))
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    checksum = 0
    for _ in range(megabytes):
        checksum = zlib.crc32(block, checksum)
    made = Zip()
    made.add(name, packed * megabytes + b"\x03\x00", DEFLATED, checksum, megabytes * len(block))
    made.again(entries)
    return made.content()


@cache
def folders(number: int) -> bytes:
    """A zip of empty folders."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as made:
        for place in range(number):
            made.writestr(f"{place:x}/", b"")
    return written.getvalue()


@cache
def entries(number: int, zip64: bool = False) -> bytes:
    """A zip of empty files; see :meth:`Zip.content`."""
    made = Zip()
    for place in range(number):
        made.add(f"p/{place:x}.jpg", b"", STORED, 0, 0)
    return made.content(zip64)


def _zip(
    name: str,
    copies: int,
    make: Callable[[], bytes],
    short: Callable[[], bytes] | None = None,
    answers: frozenset[str] = REFUSED,
) -> Input:
    def send(content: Callable[[], bytes]) -> Make:
        return body("POST", BULK, content, "application/zip", "enroll")

    small = at_once(1, send(short)) if short else None
    return Input(name, ENROLL, at_once(copies, send(make)), small, seconds=20, answers=answers, unpacked=UNPACKED)


def _filling(name: str, size: int, number: int) -> Callable[[], bytes]:
    return partial(unpacking, name, b"\0", size, number)


INPUTS = (
    _zip(
        "a manifest of one line, 1.5 GB",
        1,
        partial(unpacking, "manifest.jsonl", b"a", 1500),
        partial(unpacking, "manifest.jsonl", b"a", 200),
    ),
    _zip(
        "a manifest of line breaks, 4 GB",
        1,
        partial(unpacking, "manifest.jsonl", b"\n", 4000),
        partial(unpacking, "manifest.jsonl", b"\n", 300),
    ),
    _zip(
        "a manifest.csv of a billion columns",
        1,
        partial(unpacking, "manifest.csv", b"a,", 2000),
        partial(unpacking, "manifest.csv", b"a,", 50),
    ),
    _zip("60,000 empty folders", 1, partial(folders, 60_000), partial(folders, 6000)),
    _zip("300,000 entries behind a zip64", 1, partial(entries, 300_000, True), partial(entries, 20_000, True)),
    _zip("40,000 empty files", 1, partial(entries, 40_000), partial(entries, 6000)),
    _zip(
        "5,000 entries that are one file of 10 MB",
        1,
        _filling("p/a.jpg", 10, 5000),
        _filling("p/a.jpg", 10, 500),
        REFUSED | {"202"},  # of equal names one counts
    ),
    _zip("an image that unpacks to 4 GB", 1, _filling("p/a.jpg", 4000, 1), _filling("p/a.jpg", 100, 1)),
    _zip("seven manifests of line breaks at once", 7, partial(unpacking, "manifest.jsonl", b"\n", 4000)),
    _zip("seven times 60,000 empty folders at once", 7, partial(folders, 60_000)),
)
