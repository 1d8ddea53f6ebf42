"""Bodies: such as come slowly or not at all, and such as cost more to read than to send."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import count, repeat
from typing import Any

from scripts.attack.attacker import chunked, request
from scripts.attack.heads import FACEPP
from scripts.attack.inputs import (
    ANYBODY,
    ENROLL,
    MB,
    SEARCH,
    Input,
    Make,
    Run,
    at_once,
    each,
    refilled,
    repeated,
)
from scripts.attack.target import COLLECTION, Target

HELD_S = 20.0
JSON, LINES, FORM = "application/json", "application/x-ndjson", "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=b"
PERSON = f"/v1/collections/{COLLECTION}/persons/p"
BULK = f"/v1/collections/{COLLECTION}/bulk"
PART = b'--b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n'
DETECT = "/facepp/v3/detect"
REFUSED = frozenset({"400", "401", "403", "404", "408", "413", "415", "422", "429", "closed"})


def stopped(number: int, sent: int = 1, role: str = "", paths: Iterable[str] = (), kind: str = FORM) -> Run:
    """Requests that announce a body and stop after its first bytes: to these paths in turn, or to all that read one.

    Args:
        role: ``search`` or ``enroll``: with that key, else without any.
    """

    turn = count()

    def make(target: Target) -> Iterator[bytes]:
        places = [("POST", path) for path in paths] or target.reading
        method, path = places[next(turn) % len(places)]
        key = getattr(target, role) if role else ""
        yield request(method, path, b"a" * sent, key=key, kind=kind, length=max(2 * sent, 1000))

    return refilled(number, make)


def slow(number: int, path: str = DETECT, role: str = "", pause_s: float = 0.5) -> Run:
    """Bodies that come byte by byte."""

    def pieces(target: Target) -> Iterator[bytes]:
        key = getattr(target, role) if role else ""
        yield request("POST", path, key=key, kind=FORM, length=10**6)
        yield from repeat(b"a")

    return refilled(number, pieces, pause_s=pause_s)


def never_ending(target: Target) -> Iterator[bytes]:
    """A chunked body without its last chunk."""
    yield chunked(FACEPP, b"a=b")


def expecting(number: int) -> Run:
    """Requests that ask for "100 Continue" and then send nothing."""
    head = request("POST", DETECT, kind=FORM, length=10**6, more="Expect: 100-continue\r\n")
    return refilled(number, lambda _: (head,))


def body(method: str, path: str, content: Callable[[], bytes], kind: str = JSON, role: str = "") -> Make:
    """One request with a whole body, which is made when it is sent."""
    return lambda target: [request(method, path, content(), key=getattr(target, role) if role else "", kind=kind)]


def filled(start: bytes, piece: bytes, size: int) -> bytes:
    """A start and a piece again and again, of about ``size`` bytes."""
    return start + piece * (size // len(piece))


def unknown_fields(size: int) -> bytes:
    """A JSON object of the given number of bytes, of fields that no path knows."""
    return b"{" + b",".join(b'"%x":0' % number for number in range(size // 10)) + b"}"


def field_list(name: str, item: bytes, size: int) -> bytes:
    """A JSON object with one list of the given number of bytes."""
    return b'{"%b":[' % name.encode() + item + (b"," + item) * (size // (len(item) + 1)) + b"]}"


def field_object(name: str, size: int) -> bytes:
    """A JSON object with one object of the given number of bytes."""
    return b'{"%b":' % name.encode() + unknown_fields(size) + b"}"


def field_text(name: str, piece: bytes, size: int) -> bytes:
    """A JSON object with one text of the given number of bytes."""
    return b'{"%b":"' % name.encode() + piece * (size // len(piece)) + b'"}'


def parts(size: int) -> bytes:
    """A multipart body of the given number of bytes, of empty parts."""
    one = PART % b"a" + b"\r\n"
    return one * (size // len(one)) + b"--b--\r\n"


def part(name: str, piece: bytes, size: int) -> bytes:
    """A multipart body of one part of the given number of bytes."""
    return PART % name.encode() + filled(b"", piece, size) + b"\r\n--b--\r\n"


def to_all(size: int) -> Run:
    """A JSON object of unknown fields to every operation that reads a body, of all wire formats."""
    return each(
        lambda target: [
            request(m, path, unknown_fields(size), key=target.enroll, kind=JSON) for m, path in target.reading
        ]
    )


SIZE, SMALL = 4 * MB, MB // 4
FORM_SIZE = 3 * MB
FACEPP_PATHS = [f"/facepp/v3/{name}" for name in ("detect", "search", "compare", "faceset/create", "face/getdetail")]
SENDERS: dict[str, tuple[str, Callable[[Callable[[], bytes]], Make]]] = {
    "person": (ENROLL, partial(body, "PUT", PERSON, role="enroll")),
    "search": (SEARCH, partial(body, "POST", "/v1/search", role="search")),
    "form": (SEARCH, partial(body, "POST", "/v1/search", kind=MULTIPART, role="search")),
    "bulk": (ENROLL, partial(body, "POST", BULK, kind=LINES, role="enroll")),
    "nobody": (ANYBODY, partial(body, "POST", "/nothing")),
}


def _dear(name: str, sender: str, *make: Any, size: int = SIZE, small: int = SMALL) -> Input:
    """A whole body, two at once: a function, and its arguments but the size, which is the last one."""
    who, send = SENDERS[sender]
    function, *arguments = make
    large, little = (send(partial(function, *arguments, number)) for number in (size, small))
    return Input(name, who, at_once(2, large), at_once(1, little), answers=REFUSED)


def _form(name: str, kind: str, start: bytes, piece: bytes) -> Input:
    """A form without a key, again and again over eight connections."""
    make = body("POST", DETECT, lambda: filled(start, piece, 3 * MB), kind)
    return Input(name, ANYBODY, repeated(3, make, 8), repeated(1, make), answers=REFUSED)


SLOW = (
    Input("bodies that stop, Face++", ANYBODY, stopped(100, paths=FACEPP_PATHS), stopped(100, paths=FACEPP_PATHS),
          HELD_S, ends=True),
    Input("300 bodies that stop after 1 KB, Face++", ANYBODY, stopped(300, 1024, paths=FACEPP_PATHS), None, HELD_S,
          ends=True),
    Input("bodies that stop, every path", ANYBODY, stopped(200), stopped(70, kind=JSON), HELD_S, ends=True),
    Input("bodies that stop, unknown paths", ANYBODY, stopped(100, paths=["/nothing"]),
          stopped(20, paths=["/nothing"]), HELD_S, ends=True),
    Input("bodies that stop after 1 MB, 100 of them", ANYBODY, stopped(100, MB, paths=[DETECT]), None, HELD_S,
          ends=True),
    Input("bodies byte by byte, Face++", ANYBODY, slow(100), slow(100), HELD_S, ends=True),
    Input("bodies without a last chunk", ANYBODY, refilled(100, never_ending), refilled(10, never_ending), HELD_S,
          ends=True),
    Input("bodies that wait for 100 Continue", ANYBODY, expecting(100), expecting(20), HELD_S, ends=True),
    Input("bodies that stop, 100 of one key", SEARCH, stopped(100, 1000, "search", ["/v1/detect"], MULTIPART),
          stopped(100, 1000, "search", ["/v1/detect"], MULTIPART), HELD_S, ends=True),
    Input("bodies that stop after 8 MB, 100 of one key", SEARCH,
          stopped(100, 8 * MB, "search", ["/v1/detect"], MULTIPART), None, HELD_S, ends=True),
    Input("uploads that stop, 100 of one key", ENROLL, stopped(100, 1000, "enroll", [BULK], LINES),
          stopped(20, 1000, "enroll", [BULK], LINES), HELD_S, ends=True),
)  # fmt: skip

DEAR = (
    _form("a form of &", FORM, b"", b"&"),
    _form("a form of %41", FORM, b"a=", b"%41"),
    _form("a form of short fields", FORM, b"", b"a=1&"),
    _form("a form of empty fields", FORM, b"", b"=&"),
    _form("a multipart form of empty parts", MULTIPART, b"", PART % b"a" + b"\r\n"),
    _form("a multipart form of headers", MULTIPART, b"--b\r\n", b"a:b\r\n"),
    _form("a multipart form of line breaks", MULTIPART, b"--b", b"\r\n"),
    _form("a multipart form of almost-borders", MULTIPART, b"--b\r\n\r\n", b"\r\n--\r\n-"),
    _dear("60 MB to an unknown path", "nobody", filled, b"", b" ", size=60 * MB),
    _dear("reject: a text of commas", "person", field_text, "reject", b"x,"),
    _dear("reject: a list of wrong codes", "person", field_list, "reject", b'"x"'),
    _dear("image_base64: a list of numbers", "person", field_list, "image_base64", b"0"),
    _dear("image_url: a list of empty texts", "person", field_list, "image_url", b'""'),
    _dear("metadata of numbers", "person", field_object, "metadata"),
    _dear("consent with unknown fields", "person", field_object, "consent"),
    _dear("watch_list of empty texts", "person", field_list, "watch_list", b'""'),
    _dear("a name of escapes", "person", field_text, "name", b"\\u0041"),
    _dear("unknown fields", "search", unknown_fields),
    _dear("unknown fields, 32 MB", "search", unknown_fields, size=32 * MB, small=SIZE),
    _dear("collections: a text of commas", "search", field_text, "collections", b"x,"),
    _dear("collections: commas in a form", "form", part, "collections", b"x,"),
    _dear("lists in lists", "search", filled, b"", b"["),
    _dear("objects in objects", "search", filled, b"", b'{"a":'),
    _dear("a number of 4 million digits", "search", filled, b'{"max_results":', b"9"),
    _dear("60 MB of blanks", "search", filled, b"", b" ", size=60 * MB, small=SIZE),
    _dear("base64 of line breaks", "search", field_text, "image_base64", b"\\n", size=60 * MB, small=SIZE),
    _dear("base64 of %2B", "search", field_text, "image_base64", b"%2B", size=20 * MB, small=SIZE),
    _dear("a form of empty parts", "form", parts),
    _dear("a part of headers", "form", filled, b"--b\r\n", b"a:b\r\n", size=16 * MB, small=SIZE),
    _dear("bulk: a line of unknown fields", "bulk", unknown_fields),
    _dear("bulk: many wrong lines", "bulk", filled, b"", b"{}\n"),
    _dear("bulk: empty lines", "bulk", filled, b"", b"\n", size=60 * MB, small=SIZE),
    _dear("bulk: one long line", "bulk", field_text, "image_base64", b"\\n", size=60 * MB, small=SIZE),
    Input("unknown fields to every operation", ENROLL, to_all(MB), to_all(MB // 8)),
)
