"""What a PNG file is decoded from: the chunks that make its first picture, and nothing else."""

from __future__ import annotations

import struct

SIGNATURE = b"\x89PNG\r\n\x1a\n"
NEEDED_ONCE = frozenset({b"IHDR", b"PLTE", b"tRNS", b"eXIf", b"IEND"})
"""Header, palette, transparency of a palette or colour, orientation, end."""


def essential(data: bytes) -> bytes:
    """The file without texts, profiles, further frames and repeated chunks.

    libpng unpacks some of these, and complains of each faulty one in a line of the log: a small file could have a
    hundred thousand. What is cut off stays so, for the decoder to find.
    """
    kept = [SIGNATURE]
    seen: set[bytes] = set()
    at = len(SIGNATURE)
    while at + 8 <= len(data) and b"IEND" not in seen:
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if kind == b"IDAT" or (kind in NEEDED_ONCE and kind not in seen):
            kept.append(data[at:end])
        seen.add(kind)
        at = end
    return b"".join(kept)
