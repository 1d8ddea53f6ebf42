"""WebP files of which only what follows the picture was cut off (RFC 9649)."""

from __future__ import annotations

import struct

from serve_app.errors import ImageTooLarge

MOST_CHUNKS = 20_000
"""Most chunks of a file that was cut off; each frame of an animation is one."""

EXIF, XMP = 0x08, 0x04
"""Flags of an extended file (VP8X): it has such a chunk."""


def ended(data: bytes) -> bytes:
    """The whole chunks of a file that was cut off, as a file; the same file if it was not, or lost its orientation.

    Raises ImageTooLarge for more than :data:`MOST_CHUNKS` chunks.
    """
    chunks: list[bytes] = []
    kinds: set[bytes] = set()
    at = 12
    if int.from_bytes(data[4:8], "little") <= len(data) - 8:
        return data
    while at + 8 <= len(data):
        if len(chunks) == MOST_CHUNKS:
            raise ImageTooLarge(f"The WebP file has more than {MOST_CHUNKS} chunks; save it anew.", format="WEBP")
        kind, length = struct.unpack_from("<4sI", data, at)
        if at + 8 + length > len(data):
            break
        chunks.append(data[at : at + 8 + length].ljust(8 + length + length % 2, b"\0"))
        kinds.add(kind)
        at += 8 + length + length % 2
    content = bytearray(b"".join(chunks))
    if content.startswith(b"VP8X") and len(content) >= 18:
        if content[8] & EXIF and b"EXIF" not in kinds:
            return data
        if b"XMP " not in kinds:
            content[8] &= ~XMP
    return b"RIFF" + struct.pack("<I", 4 + len(content)) + b"WEBP" + content
