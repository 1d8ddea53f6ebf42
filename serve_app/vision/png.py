"""PNG sanitiser: keeps only the chunks that make up the first frame."""

from __future__ import annotations

import struct

SIGNATURE = b"\x89PNG\r\n\x1a\n"
NEEDED_ONCE = frozenset({b"IHDR", b"PLTE", b"tRNS", b"eXIf", b"IEND"})
"""Chunks that are kept once: header, palette, transparency of a palette or colour, orientation, end."""


def essential(data: bytes) -> bytes:
    """The file without texts, profiles, further frames and repeated chunks.

    libpng unpacks some of these and writes a log line for each faulty one; a small file could have a hundred thousand.
    A truncated file stays truncated, so that the decoder reports it; without the chunk that is cut off, for whose whole
    length OpenCV would take memory: up to 4 GB for a file of 50 bytes.
    """
    kept = [SIGNATURE]
    seen: set[bytes] = set()
    at = len(SIGNATURE)
    while at + 8 <= len(data) and b"IEND" not in seen:
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            break
        if kind == b"IDAT" or (kind in NEEDED_ONCE and kind not in seen):
            kept.append(data[at:end])
        seen.add(kind)
        at = end
    return b"".join(kept)
