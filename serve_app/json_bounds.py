"""A bound on JSON from outside, before it is parsed: a parsed value takes many times the memory of its text."""

from __future__ import annotations

SEPARATORS = (b",", b"[", b"{")
"""Each value but the first follows one of these."""


def has_more_values(content: bytes, most: int) -> bool:
    """Whether a JSON text has more than ``most`` values, up to one; at no cost where it has few separators."""
    if not _has_more_separators(content, most):
        return False
    # The separators can be part of texts. Without escapes, every second piece between quotation marks is a text.
    pieces = content.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"', 4 * most + 4)
    if len(pieces) > 4 * most + 4:  # more names and values than there may be
        return True
    return _has_more_separators(b"".join(pieces[::2]), most)


def _has_more_separators(content: bytes, most: int) -> bool:
    for separator in SEPARATORS:
        at = content.find(separator)
        while at >= 0:
            if most == 0:
                return True
            most -= 1
            at = content.find(separator, at + 1)
    return False
