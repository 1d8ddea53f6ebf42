"""PNG sanitiser: keeps only the chunks that make up the first frame, and ends a file that lacks its end."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

from serve_app.cancellation import check_wanted
from serve_app.errors import ImageTooLarge, ImageUndecodable

SIGNATURE = b"\x89PNG\r\n\x1a\n"
NEEDED_ONCE = frozenset({b"IHDR", b"PLTE", b"tRNS", b"eXIf", b"IEND"})
"""Chunks that are kept once: header, palette, transparency of a palette or colour, orientation, end."""

CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Channels of each colour type."""

UNPACKED_AT_ONCE = 8 * 2**20
"""Bytes of pixels in memory while a stream is packed anew."""

MOST_CHUNKS = 100_000
"""Most chunks; they are walked over in 0.1 s. Pixels are mostly written in chunks of 8 kB and more."""

MOST_HIDDEN = 2**19
"""Compressed bytes that may follow the last pixel. A decoder unpacks them, each to up to 1,032 bytes: in 1 s."""

FED_AT_ONCE = 2**16
"""Compressed bytes that are unpacked at once when their length is checked."""

ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""First column and row, and steps, of the passes of an interlaced picture."""


def essential(data: bytes) -> bytes:
    """The file without texts, profiles, further frames and repeated chunks.

    libpng unpacks some of these and writes a log line for each faulty one; a small file could have a hundred thousand.
    A truncated file stays truncated, so that the decoder reports it. A chunk that is cut off gets the length that it
    has: for the one that it states OpenCV would take memory, up to 4 GB for a file of 50 bytes.

    Raises ImageTooLarge for more than :data:`MOST_CHUNKS` chunks.
    """
    kept = [SIGNATURE]
    seen: set[bytes] = set()
    at = len(SIGNATURE)
    number = 0
    while at + 8 <= len(data) and b"IEND" not in seen:
        number += 1
        if number > MOST_CHUNKS:
            raise ImageTooLarge(f"The PNG file has more than {MOST_CHUNKS} chunks; save it anew.", format="PNG")
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if kind == b"IDAT" or (kind in NEEDED_ONCE and kind not in seen):
            content = data[at + 8 : end - 4]
            kept.append(data[at:end] if end <= len(data) else struct.pack(">I", len(content)) + kind + content)
        seen.add(kind)
        at = end
    return b"".join(kept)


def check_excess(data: bytes) -> None:
    """Refuse an essential file that unpacks to far more than its pixels: 16 MB can hide 16 GB behind them.

    What is unpacked for this is the part that is needed to see that less than :data:`MOST_HIDDEN` can follow; of most
    files nothing. Raises ImageUndecodable.
    """
    pieces: list[tuple[int, int]] = []
    header = b""
    at = len(SIGNATURE)
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"IDAT":
            pieces.append((at + 8, length))
        elif kind == b"IHDR":
            header = data[at + 8 : at + 8 + length]
        at += 12 + length
    left = sum(length for _, length in pieces)
    if left <= MOST_HIDDEN or len(header) != 13 or header[9] not in CHANNELS:
        return
    size = _unpacked_size(header)
    unpacker = zlib.decompressobj()
    try:
        for begin, length in pieces:
            for start in range(begin, begin + length, FED_AT_ONCE):
                fed = data[start : min(start + FED_AT_ONCE, begin + length)]
                left -= len(fed)
                while fed and size >= 0:
                    size -= len(unpacker.decompress(fed, UNPACKED_AT_ONCE))
                    fed = unpacker.unconsumed_tail
                    check_wanted()
                if unpacker.eof or left <= MOST_HIDDEN:
                    return
                if size < 0:
                    raise ImageUndecodable("The PNG file is damaged: it has far more data than pixels.", format="PNG")
    except zlib.error:
        return  # the decoder reports it


def completions(data: bytes) -> Sequence[bytes]:
    """The file with an end, if it lacks one but has every pixel; else none."""
    others = [SIGNATURE]
    packed = b""
    at = len(SIGNATURE)
    header = b""
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        content, whole = data[at + 8 : at + 8 + length], data[at : at + 12 + length]
        if kind == b"IDAT":
            packed += content
        elif len(whole) < 12 + length:
            if kind != b"IEND":  # its orientation is cut off
                return ()
        elif kind == b"IEND":
            return ()
        elif kind in NEEDED_ONCE:
            others.append(whole)
            header = content if kind == b"IHDR" else header
        at += 12 + length
    if len(header) != 13 or header[9] not in CHANNELS:
        return ()
    try:
        content = _repacked(packed, _unpacked_size(header))
    except zlib.error:
        return ()
    return [b"".join((*others, _chunk(b"IDAT", content), _chunk(b"IEND", b"")))] if content else ()


def _repacked(packed: bytes, size: int) -> bytes:
    """The first ``size`` unpacked bytes of a stream that may lack its end, as a stream; empty if there are fewer."""
    unpacker, packer = zlib.decompressobj(), zlib.compressobj(1)
    done: list[bytes] = []
    while size > 0:
        check_wanted()
        piece = unpacker.decompress(packed, min(size, UNPACKED_AT_ONCE))
        if not piece:
            return b""
        done.append(packer.compress(piece))
        packed = unpacker.unconsumed_tail
        size -= len(piece)
    return b"".join((*done, packer.flush()))


def _unpacked_size(header: bytes) -> int:
    """Bytes of all rows, each with the byte that names its filter."""
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    passes = ADAM7 if interlaced else ((0, 0, 1, 1),)
    sizes = (((width - x + dx - 1) // dx, (height - y + dy - 1) // dy) for x, y, dx, dy in passes)
    return sum(rows * (1 + (columns * depth * CHANNELS[colour] + 7) // 8) for columns, rows in sizes if columns > 0)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
