"""Bodies of ``application/x-www-form-urlencoded``, and what they share with query strings and percent-encoded texts."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

from serve_app.errors import InvalidRequest

MAX_FIELDS = 1000
"""Fields of a form of any kind, files not counted, and of a query string."""

PIECE = 2**16
"""Bytes that are decoded at once, since the standard library's decoder takes twenty times their memory."""


def refuse_many_fields(text: bytes, what: str) -> None:
    """Raise InvalidRequest if a urlencoded text has too many fields, empty ones included. ``what`` names the text."""
    at = text.find(b"&")
    fields = 1
    while at >= 0:
        fields += 1
        if fields > MAX_FIELDS:
            raise InvalidRequest(f"{what} may have at most {MAX_FIELDS} fields; this one has more.", limit=MAX_FIELDS)
        at = text.find(b"&", at + 1)


def pairs_of(body: bytes) -> list[tuple[str, str]]:
    """Names and values of a body, in order. Raises InvalidRequest if there are too many."""
    refuse_many_fields(body, "A form")
    fields = (field.partition(b"=") for field in body.split(b"&") if field)
    return [(_text(name), _text(value)) for name, _, value in fields]


def _text(field: bytes) -> str:
    return unquoted(field.replace(b"+", b" ")).decode("utf-8", "replace")


def unquoted(text: bytes) -> bytes:
    """The text without percent-encoding."""
    return b"".join(map(unquote_to_bytes, _pieces(text))) if b"%" in text else text


def _pieces(text: bytes) -> Iterator[bytes]:
    """The text in pieces, none of which ends within an escape."""
    begin = 0
    while begin < len(text):
        end = begin + PIECE
        if end < len(text):
            cut = text.find(b"%", end - 2, end)  # an escape that would be cut in two goes into the next piece
            end = cut if cut > begin else end
        yield text[begin:end]
        begin = end
