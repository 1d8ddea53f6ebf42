"""JPEG files: size and dearness by their markers, files that lack their end, and kinds that no decoder here reads.

Markers as in ITU-T T.81, annex B; they are found as libjpeg finds them, which skips what is between segments.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from serve_app.errors import ImageTooLarge

START_OF_SCAN = 0xDA
SCAN_MARKER = b"\xff\xda"
END = b"\xff\xd9"
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers that begin a frame (SOFn)."""

ONE_PASS = frozenset({0xC0, 0xC1})
"""Frames whose first scan is the only one if it has all components: decoders refuse a second one."""

MARKER = re.compile(rb"\xff[\xc0-\xcf\xd8-\xef\xf7\xfe]")
"""A marker that has a segment, or begins or ends a file: neither a stuffed byte, a fill byte nor a restart."""

MOST_SEGMENTS = 1000
"""Most segments before the first scan. Profiles and previews in pieces of 64 kB are some 300 in the largest files."""

MOST_SCANS = 100
"""Most scans. Editors write some 10, at most 25; each one costs a walk over all blocks, also if it has no data."""

SCANS_AT_LARGEST = 25
"""Most scans of an image of the largest size that is accepted; smaller ones may have more, up to ``MOST_SCANS``."""

PADDINGS = tuple(pattern * 64 for pattern in (b"\0", b"\xff\0", b"\xaa", b"\x55"))
"""Bytes that stand for missing ones. A decoder reads a few ahead, and data that it takes from these shows as a
difference between the pictures."""


class Head(NamedTuple):
    """Size in pixels, and position of the further scans in the file; None if the decoder reads one scan only."""

    width: int
    height: int
    further: int | None


class _Segment(NamedTuple):
    marker: int
    content: bytes
    end: int


def read_head(data: bytes) -> Head:
    """What a file says up to its first scan.

    Raises ValueError if it has no frame or no scan; ImageTooLarge for more than :data:`MOST_SEGMENTS` segments.
    """
    frame: _Segment | None = None
    for number, segment in enumerate(_segments(data), 1):
        if segment.marker in FRAMES:
            frame = segment
        if segment.marker == START_OF_SCAN:
            break
        if number == MOST_SEGMENTS:
            raise _too_dear(f"more than {MOST_SEGMENTS} segments before its pixels")
    else:
        raise ValueError("no scan")
    if frame is None or len(frame.content) < 6:
        raise ValueError("no frame")
    height, width = int.from_bytes(frame.content[1:3], "big"), int.from_bytes(frame.content[3:5], "big")
    complete = frame.marker in ONE_PASS and segment.content[:1] == frame.content[5:6]
    return Head(width, height, None if complete else segment.end)


def check_scans(data: bytes, head: Head, most_pixels: int) -> None:
    """Refuse a file with many scans: a small file can have a hundred thousand, of some 10 ms each.

    ``most_pixels`` is the largest image that is accepted. Raises ImageTooLarge.
    """
    if head.further is None:
        return
    most = min(MOST_SCANS, SCANS_AT_LARGEST * most_pixels // max(1, head.width * head.height))
    if 1 + _occurrences(SCAN_MARKER, data, head.further) <= most:
        return
    # Some of these bytes can be in a preview, or behind the end, where phones put videos.
    scans = 0
    for number, segment in enumerate(_segments(data), 1):
        scans += segment.marker == START_OF_SCAN
        if scans > most or number > 10 * MOST_SEGMENTS:
            raise _too_dear(f"more than {most} scans")


def completions(data: bytes) -> Sequence[bytes]:
    """The file, ended in several ways; none if it has an end, or if scans are missing.

    If all of them decode to the same picture, then the file has every pixel.
    """
    frame = b""
    scans: list[bytes] = []
    for number, segment in enumerate(_segments(data)):
        if segment.marker in FRAMES:
            frame = frame or segment.content
        elif segment.marker == START_OF_SCAN:
            scans.append(segment.content)
        if number > 10 * MOST_SEGMENTS:
            return ()
    if not scans or not _has_every_coefficient(frame, scans):
        return ()
    data = data.removesuffix(b"\xff")
    # Of one scan, the decoder needs no end, and refuses a file of which more is missing than was padded.
    end = END if len(scans) > 1 else b""
    return [data + padding + end for padding in PADDINGS]


def unreadable(data: bytes) -> str | None:
    """Why a whole file of this kind cannot be decoded; None if the kind is not the reason."""
    for segment in _segments(data):
        if segment.marker == 0xF7:
            return "is JPEG-LS"
        if segment.marker in FRAMES and segment.content:
            if segment.content[0] != 8:
                return f"has {segment.content[0]} bits per sample, 8 were expected"
            if segment.marker not in (0xC0, 0xC1, 0xC2):
                return "is coded in a way (lossless, hierarchical or arithmetic) that is not read"
            return None
    return None


def _occurrences(pair: bytes, data: bytes, begin: int) -> int:
    """How often two bytes follow each other: as ``bytes.count``, which takes ten times as long."""
    value = int.from_bytes(pair, "little")
    starts = [start for start in (begin, begin + 1) if start + 2 <= len(data)]
    halves = (np.frombuffer(data, "<u2", (len(data) - start) // 2, start) for start in starts)
    return sum(int(np.count_nonzero(half == value)) for half in halves)


def _too_dear(what: str) -> ImageTooLarge:
    return ImageTooLarge(f"The JPEG file has {what}; save it anew as a usual JPEG.", format="JPEG")


def _segments(data: bytes) -> Iterator[_Segment]:
    """Each segment, up to the end of the image or the first segment that is cut off."""
    at = 2
    while (found := MARKER.search(data, at)) is not None:
        begin = found.end()
        marker = data[begin - 1]
        end = begin + max(2, int.from_bytes(data[begin : begin + 2], "big"))
        if marker in (0xD8, 0xD9) or end > len(data):
            return
        yield _Segment(marker, data[begin + 2 : end], end)
        at = end


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
