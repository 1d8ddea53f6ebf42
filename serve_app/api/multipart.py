"""Bodies of ``multipart/form-data``, as RFC 7578 and RFC 2046 describe them.

Parts may have a file name or none, folded headers and a transfer encoding; text before the first part and after the
last one is ignored.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice

from serve_app.errors import InvalidRequest

MAX_HEADERS = 16 * 2**10
"""Bytes of the headers of one part."""

MAX_ALL_HEADERS = 256 * 2**10
"""Bytes of the headers of all parts."""

MAX_PARAMETERS = 100
"""Parameters of one header; further ones are not read."""

LINE_END = re.compile(rb"(?P<last>--)?[ \t]*(?:\r?\n|\Z)")
FOLD = re.compile(rb"\r\n[ \t]+")
PARAMETER = re.compile(rb';\s*([^\s=;"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))')
ESCAPED = re.compile(rb"\\(.)")
CHARSETS = re.compile(
    r"us-ascii|utf-?(8|16|32)([bl]e)?|iso-?8859-\d{1,2}|(windows-|cp)125\d|koi8-[ru]|mac(intosh|-?roman)"
    r"|shift[-_]jis|sjis|euc-(jp|kr)|gb(k|2312|18030)|big5",
    re.IGNORECASE,
)
"""Character sets that are decoded. Python knows others, with which a megabyte takes minutes or raises other errors."""

CHARSET_FIELD = "_charset_"

FILE_NAMES = frozenset({b"filename", b"filename*"})
DECODERS: dict[bytes, Callable[[bytes], bytes]] = {b"base64": binascii.a2b_base64, b"quoted-printable": binascii.a2b_qp}


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a form.

    ``charset`` is empty if the part does not name one. ``as_file``: it has a file name or a media type other than text.
    The caller knows better what the field expects.
    """

    name: str
    content: bytes
    charset: str
    as_file: bool

    @property
    def text(self) -> str:
        """The content as text; what is not in its character set, or UTF-8 if that is unknown, is read as Latin-1."""
        try:
            return self.content.decode(self.charset if CHARSETS.fullmatch(self.charset) else "utf-8")
        except (UnicodeDecodeError, LookupError):
            return self.content.decode("latin-1")


def parts_of(body: bytes, content_type: str, most: int) -> list[Part]:
    """The parts of a body. Raises InvalidRequest if it is not such a body or has more than ``most`` parts."""
    boundary = _parameters(content_type.encode("latin-1", "replace")).get(b"boundary")
    if not boundary:
        raise InvalidRequest("The Content-Type of a form needs a boundary: multipart/form-data; boundary=...")
    mark = b"\r\n--" + boundary
    body = b"\r\n" + body  # so that the first line is not an exception
    parts: list[Part] = []
    begin = None
    left, lines_left = MAX_ALL_HEADERS, most
    at = body.find(mark)
    while at >= 0:
        line_end = LINE_END.match(body, at + len(mark))
        if line_end is None:  # a line of the content that begins like the boundary
            lines_left -= 1
            if lines_left < 0:
                raise InvalidRequest(
                    "The form's contents have many lines that begin like its boundary; choose another."
                )
            at = body.find(mark, at + 1)
            continue
        if begin is not None:
            if len(parts) == most:
                raise InvalidRequest(f"The form has too many parts; at most {most} are accepted.", limit=most)
            head, content_begin = _head(body, begin, at)
            left -= len(head)
            if left < 0:
                raise InvalidRequest(f"The headers of a form's parts may have {MAX_ALL_HEADERS} bytes together.")
            parts.append(_part(head, body[content_begin:at]))
        if line_end["last"]:
            return _in_named_charset(parts)
        begin = line_end.end()
        at = body.find(mark, begin - 2)  # the line's end can be the start of the next boundary
    raise InvalidRequest(
        "The form has no end: its boundary with two hyphens before and after it, on a line of its own. It was cut off, "
        "or the Content-Type names another boundary."
    )


def _in_named_charset(parts: list[Part]) -> list[Part]:
    """The parts without the one with which a form names the character set of its texts (RFC 7578, section 4.6)."""
    named = next((part.text.strip() for part in parts if part.name == CHARSET_FIELD and not part.as_file), None)
    if named is None:
        return parts
    others = [part for part in parts if part.name != CHARSET_FIELD]
    return [part if part.charset else replace(part, charset=named) for part in others]


def _head(body: bytes, begin: int, end: int) -> tuple[bytes, int]:
    """The headers of a part, and where its content begins."""
    blank_line = body.find(b"\r\n\r\n", begin, end)
    head_end, content = (end, end) if blank_line < 0 else (blank_line, blank_line + 4)
    return body[begin : min(head_end, begin + MAX_HEADERS)], content


def _part(head: bytes, content: bytes) -> Part:
    lines = (line.partition(b":") for line in FOLD.sub(b" ", head).split(b"\r\n"))
    headers = {name.strip().lower(): value.strip() for name, _, value in lines}
    disposition = _parameters(headers.get(b"content-disposition", b""))
    name = disposition.get(b"name")
    if name is None:
        raise InvalidRequest('Each part of a form needs the header Content-Disposition: form-data; name="..."')
    decode = DECODERS.get(headers.get(b"content-transfer-encoding", b"").lower())
    if decode:
        try:
            content = decode(content)
        except binascii.Error:
            raise InvalidRequest(f"The part {_text(name)!r} of the form is not base64, as its header says.") from None
    kind = headers.get(b"content-type", b"text/plain")
    as_file = bool(disposition.keys() & FILE_NAMES) or not kind.lower().startswith(b"text/")
    return Part(_text(name), content, _parameters(kind).get(b"charset", b"").decode("latin-1"), as_file)


def _parameters(value: bytes) -> dict[bytes, bytes]:
    """The parameters after the first semicolon of a header's value; their names in lower case."""
    found = (each.groups(b"") for each in islice(PARAMETER.finditer(value), MAX_PARAMETERS))
    return {name.lower(): ESCAPED.sub(rb"\1", quoted) or plain for name, quoted, plain in found}


def _text(name: bytes) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError:
        return name.decode("latin-1")
