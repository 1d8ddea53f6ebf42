"""JPEG files that lack their end, and kinds of JPEG that no decoder here reads. Markers as in ITU-T T.81, annex B."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

START_OF_SCAN = 0xDA
END = b"\xff\xd9"
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers that begin a frame (SOFn)."""

WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xDA)})

AFTER_SCAN = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
"""The marker that ends the data of a scan: neither a stuffed byte nor a restart."""

PADDINGS = tuple(pattern * 64 for pattern in (b"\0", b"\xff\0", b"\xaa", b"\x55"))
"""Bytes that stand for missing ones. A decoder reads a few ahead, and data that it takes from these shows as a
difference between the pictures."""


def completions(data: bytes) -> Sequence[bytes]:
    """The file, ended in several ways; none if it has an end, or if scans are missing.

    If all of them decode to the same picture, then the file has every pixel.
    """
    scans = [segment for marker, segment in _segments(data) if marker == START_OF_SCAN]
    frame = next((segment for marker, segment in _segments(data) if marker in FRAMES), b"")
    if not scans or not _has_every_coefficient(frame, scans):
        return ()
    data = data.removesuffix(b"\xff")
    # Of one scan, the decoder needs no end, and refuses a file of which more is missing than was padded.
    end = END if len(scans) > 1 else b""
    return [data + padding + end for padding in PADDINGS]


def unreadable(data: bytes) -> str | None:
    """Why a whole file of this kind cannot be decoded; None if the kind is not the reason."""
    for marker, segment in _segments(data):
        if marker == 0xF7:
            return "is JPEG-LS"
        if marker in FRAMES and segment:
            if segment[0] != 8:
                return f"has {segment[0]} bits per sample, 8 were expected"
            if marker not in (0xC0, 0xC1, 0xC2):
                return "is coded in a way (lossless, hierarchical or arithmetic) that is not read"
            return None
    return None


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker and content of each segment, up to the first one that is cut off."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if marker in WITHOUT_LENGTH:
            at += 2
            continue
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if end > len(data):
            return
        yield marker, data[at + 4 : end]
        at = end
        if marker == START_OF_SCAN:
            following = AFTER_SCAN.search(data, end)
            if following is None:
                return
            at = following.start()


def _has_every_coefficient(frame: bytes, scans: Sequence[bytes]) -> bool:
    """Whether the scans carry all bits of all 64 coefficients of each component."""
    missing = {(component, index) for component in frame[6::3] for index in range(64)}
    for scan in scans:
        count = scan[0] if scan else 0
        if len(scan) < 4 + 2 * count:
            return False
        first, last, bits = scan[1 + 2 * count : 4 + 2 * count]
        if bits & 0x0F == 0:  # the position of the lowest bit that this scan carries
            missing -= {
                (component, index) for component in scan[1 : 1 + 2 * count : 2] for index in range(first, last + 1)
            }
    return bool(frame) and not missing
