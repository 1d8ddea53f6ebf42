"""Forms as clients write them: every variant that RFC 7578 and RFC 2046 allow means the same, on every endpoint."""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping
from typing import Any

import pytest

from serve_app.api.multipart import MAX_HEADERS, parts_of
from serve_app.domain import Role
from serve_app.errors import InvalidRequest
from tests.api.conftest import World, code
from tests.api.dialects import facepp, ninthsense
from tests.fakes.stages import fake_picture

PICTURE = fake_picture("ada")
FORM = "multipart/form-data; boundary=x"
NAMED = b'Content-Disposition: form-data; name="%s"'
AS_USUAL = NAMED + b'; filename="a.jpg"\r\nContent-Type: image/jpeg'

HEADERS = {
    "as usual": AS_USUAL,
    "no file name": NAMED + b"\r\nContent-Type: image/jpeg",
    "no file name, octets": NAMED + b"\r\nContent-Type: application/octet-stream",
    "an empty file name": NAMED + b'; filename=""\r\nContent-Type: image/jpeg',
    "neither file name nor type": NAMED,
    "an extended file name": NAMED + b"; filename*=UTF-8''%%E2%%82%%AC.jpg",
    "both file names": NAMED + b"; filename=\"a.jpg\"; filename*=utf-8''a.jpg",
    "a file name with quotes": NAMED + b'; filename="a \\"b\\"; name=other.jpg"',
    "a file name that is not UTF-8": NAMED + b'; filename="\xe4.jpg"',
    "folded": b'Content-Disposition: form-data;\r\n name="%s";\r\n\tfilename="a.jpg"',
    "in small letters": b"content-disposition:form-data;name=%s;filename=a.jpg\r\ncontent-type:image/jpeg",
    "in another order": b'Content-Type: image/jpeg\r\nContent-Disposition: form-data; filename="a.jpg"; name="%s"',
    "more headers": AS_USUAL + b"\r\nContent-Length: 1\r\nContent-ID: <a>\r\nContent-Transfer-Encoding: binary",
}
BODIES = {
    "as usual": (b"", b"--x", b"\r\n"),
    "a preamble": (b"This is a message in MIME format.\r\n", b"--x", b"\r\n"),
    "an empty preamble": (b"\r\n", b"--x", b"\r\n"),
    "an epilogue": (b"", b"--x", b"\r\nThe end.\r\n--x\r\n"),
    "nothing after the end": (b"", b"--x", b""),
    "blanks after the boundary": (b"", b"--x \t", b" \r\n"),
}
BOUNDARIES = {
    "quoted": ('multipart/form-data; boundary="x"', b"x"),
    "with blanks and marks": ('multipart/form-data; boundary="a b:(c)\'+_,-./=?d"', b"a b:(c)'+_,-./=?d"),
    "in capitals, after another parameter": ("Multipart/Form-Data; charset=utf-8; BOUNDARY=x", b"x"),
    "with blanks around": ("multipart/form-data ;  boundary = x ", b"x"),
    "that regular expressions would take for more": ("multipart/form-data; boundary=.*", b".*"),
    "with hyphens": ("multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxk", b"----WebKitFormBoundary7MA4YWxk"),
}


def form(
    files: Mapping[str, bytes],
    texts: Mapping[str, str],
    head: bytes = AS_USUAL,
    body: tuple[bytes, bytes, bytes] = BODIES["as usual"],
) -> bytes:
    """A body with the boundary x."""
    before, line, after = body
    parts = [(head % name.encode(), content) for name, content in files.items()]
    parts += [(NAMED % name.encode(), text.encode()) for name, text in texts.items()]
    return before + b"".join(line + b"\r\n" + h + b"\r\n\r\n" + c + b"\r\n" for h, c in parts) + b"--x--" + after


def found(world: World, endpoint: str, **options: Any) -> Any:
    """What an endpoint finds on the picture, sent with a form that is written like this."""
    kind = options.pop("kind", FORM)
    if endpoint == "facepp":
        client = facepp.Client(world, Role.SEARCH)
        content = form({"image_file": PICTURE}, client.keys, **options)
        return world.client.post("/facepp/v3/detect", content=content, headers={"Content-Type": kind}).json()[
            "face_num"
        ]
    if endpoint == "ninthsense":
        kyc = ninthsense.Client(world)
        content = form({"source_image": PICTURE, "target_image": PICTURE}, {}, **options)
        answer = kyc.request("POST", "/face/match", content=content, headers={"Content-Type": kind})
        return len([answer.raise_for_status()])
    if endpoint == "/v1/compare":
        content = form({"image1": PICTURE, "image2": PICTURE}, {}, **options)
        answer = world.call("POST", endpoint, {**world.admin, "Content-Type": kind}, content=content)
        return int(answer.json()["is_match"])
    method, path = endpoint.split() if " " in endpoint else ("POST", endpoint)
    texts = {"collections": "staff"} if endpoint == "/v1/search" else {}
    answer = world.call(
        method, path, {**world.admin, "Content-Type": kind}, content=form({"image": PICTURE}, texts, **options)
    )
    return len(answer.raise_for_status().json()["faces"])


ENDPOINTS = [
    "/v1/detect",
    "/v1/search",
    "/v1/compare",
    "PUT /v1/collections/staff/persons/ada",
    "facepp",
    "ninthsense",
]


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_variants_that_mean_the_same(world: World, endpoint: str) -> None:
    for name, head in HEADERS.items():
        assert found(world, endpoint, head=head) == 1, name
    for name, body in BODIES.items():
        assert found(world, endpoint, body=body) == 1, name


@pytest.mark.parametrize(("kind", "boundary"), BOUNDARIES.values(), ids=list(BOUNDARIES))
def test_boundaries(kind: str, boundary: bytes) -> None:
    tricky = b"\r\n--" + boundary + b"y\r\n--" + boundary[:-1] + b"\r\n-" + boundary
    body = form({"image": PICTURE + tricky}, {"q": "text"}).replace(b"--x", b"--" + boundary)
    image, text = parts_of(body, kind, 10)
    assert (image.name, image.content, image.as_file) == ("image", PICTURE + tricky, True)
    assert (text.name, text.text, text.as_file) == ("q", "text", False)


def test_texts(world: World) -> None:
    def parsed(head: bytes, content: bytes) -> str:
        (part,) = parts_of(b"--x\r\n" + head + b"\r\n\r\n" + content + b"\r\n--x--", FORM, 1)
        return f"{part.name}: {part.text}"

    assert parsed(NAMED % "name é".encode(), "Zoë".encode()) == "name é: Zoë"
    assert parsed(NAMED % b"n", b"Zo\xeb") == "n: Zoë"
    assert parsed(NAMED % b"n" + b"\r\nContent-Type: text/plain; charset=ISO-8859-2", b"\xb1") == "n: ą"
    for charset in ("shift_jis", "euc-jp", "gb18030", "utf-16", "utf-8"):
        head = NAMED % b"n" + f"\r\nContent-Type: text/plain; charset={charset}".encode()
        assert parsed(head, "日本".encode(charset)) == "n: 日本"
    assert parsed(NAMED % b"n" + b"\r\nContent-Type: text/plain; charset=nonsense", b"x") == "n: x"
    # Python's punycode takes minutes for a megabyte, idna and "undefined" raise errors of other kinds.
    for charset in (b"punycode", b"idna", b"undefined", b"unicode_escape", b"utf-7", b'"a\x00b"', b"iso-8859-99"):
        assert parsed(NAMED % b"n" + b"\r\nContent-Type: text/plain; charset=" + charset, b"a-\xff" * 2) == "n: a-ÿa-ÿ"
    assert parsed(NAMED % b'a \\"b\\" \\\\', b"x") == 'a "b" \\: x'
    assert parsed(NAMED % b"n", b"") == "n: "
    assert parsed(NAMED % b"n" + b"\r\nContent-Transfer-Encoding: quoted-printable", b"Zo=C3=AB") == "n: Zoë"
    encoded = NAMED % b"n" + b"\r\nContent-Transfer-Encoding: BASE64"
    assert parsed(encoded, base64.encodebytes(b"long " * 30)) == f"n: {'long ' * 30}"
    with pytest.raises(InvalidRequest, match="The part 'n' of the form is not base64"):
        parsed(encoded, b"a")
    # A blob of a browser's script: a text with a file name.
    head = NAMED % b"metadata" + b'; filename="blob"\r\nContent-Type: application/json'
    body = b"--x\r\n" + head + b'\r\n\r\n{"badge": "7"}\r\n--x--'
    answer = world.call("PUT", "/v1/collections/staff/persons/a", {**world.admin, "Content-Type": FORM}, content=body)
    assert answer.json()["metadata"] == {"badge": "7"}


def test_a_part_without_a_body_line() -> None:
    assert [part.content for part in parts_of(b"--x\r\n" + NAMED % b"n" + b"\r\n\r\n--x--", FORM, 1)] == [b""]


@pytest.mark.parametrize(
    ("kind", "body", "words"),
    [
        ("multipart/form-data", b"--x--", "needs a boundary"),
        ("multipart/form-data; boundary=", b"--x--", "needs a boundary"),
        (FORM, b"", "no end"),
        (FORM, b"--y\r\n\r\n\r\n--y--", "no end"),
        (FORM, b"--x\r\n" + NAMED % b"n" + b"\r\n\r\nx", "no end"),
        (FORM, b"--x\r\n" + NAMED % b"n" + b"\r\n\r\nx\r\n--x\r\n", "no end"),
        (FORM, b"--x\r\n\r\nx\r\n--x--", "Content-Disposition"),
        (FORM, b"--x\r\n--x--", "Content-Disposition"),
        (FORM, b"--x\r\nContent-Disposition: form-data\r\n\r\nx\r\n--x--", "Content-Disposition"),
        (FORM, b"--x\r\n" + b"A: b\r\n" * MAX_HEADERS + NAMED % b"n" + b"\r\n\r\n\r\n--x--", "Content-Disposition"),
        (FORM, form({}, {"a": "", "b": "", "c": "", "d": ""}), "at most 3"),
    ],
)
def test_what_is_no_form(world: World, kind: str, body: bytes, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        parts_of(body, kind, 3)
    answer = world.call("POST", "/v1/detect", {**world.admin, "Content-Type": kind}, content=body)
    assert code(answer) == (400, "invalid_request")


def test_a_form_that_was_cut_anywhere_is_refused() -> None:
    body = form({"image": PICTURE}, {"q": "text"})
    for length in range(len(body) - len(b"--\r\n") + 1):
        with pytest.raises(InvalidRequest):
            parts_of(body[:length], FORM, 10)


def test_a_hostile_form_takes_no_time() -> None:
    began = time.monotonic()
    for body in (
        b"\r\n--x" * 2_000_000,
        b"--x\r\n" + b"\r\n--xy" * 2_000_000,
        b"--x\r\nContent-Disposition: form-data" + b';a="\\' * 2_000_000 + b"\r\n\r\n\r\n--x--",
        b"--x\r\n" + b"a\r\n " * 2_000_000 + b"\r\n\r\n--x--",
    ):
        with pytest.raises(InvalidRequest):
            parts_of(body, FORM, 1000)
    assert time.monotonic() - began < 20
