"""Base64 in every form that clients send is the same picture, on every endpoint."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from urllib.parse import quote

import httpx2 as httpx
import pytest

from serve_app.api.request_images import decode_base64
from serve_app.domain import Role
from serve_app.errors import ImageTooLarge, ImageUndecodable
from tests.api.conftest import World, b64
from tests.api.dialects import argos, facepp, fr_server
from tests.api.dialects.opencv_cloud import Cloud
from tests.fakes.stages import FakeFace, fake_picture

PICTURE, PLAIN = next(
    (picture, text)
    for picture in (fake_picture(FakeFace(f"~?~?~?~?{'x' * n}")) for n in range(9))
    if {"+", "/", "="} <= set(text := b64(picture))
)

FORMS: dict[str, Callable[[str], str]] = {
    "as usual": str,
    "URL-safe": lambda t: t.translate(str.maketrans("+/", "-_")),
    "URL-safe without padding": lambda t: t.translate(str.maketrans("+/", "-_")).rstrip("="),
    "without padding": lambda t: t.rstrip("="),
    "too much padding": lambda t: t + "==",
    "percent-encoded": lambda t: quote(t, safe=""),
    "partly percent-encoded": lambda t: t.replace("+", "%2b"),
    "blanks for plus signs": lambda t: t.replace("+", " "),
    "blanks around": lambda t: f"  \n{t}\t ",
    "lines": lambda t: lines(t, "\n", 64),
    "lines of Windows": lambda t: lines(t, "\r\n", 76),
    "indented lines": lambda t: lines(t, "\n    ", 76),
    "lines with a blank at the end, and blanks for plus signs": lambda t: lines(t.replace("+", " "), "\n", 67),
    "words": lambda t: lines(t, " ", 76),
    "encoded line breaks": lambda t: lines(t, "%0A", 76),
    "data:": lambda t: f"data:image/jpeg;base64,{t}",
    "data: without a type": lambda t: f"data:;base64,{t}",
    "data: with parameters": lambda t: f"DATA:image/jpeg; charset=utf-8; BASE64,{t}",
    "data: after a blank": lambda t: f" data:image/jpeg;base64, {t}\n",
    "data:, percent-encoded": lambda t: quote(f"data:image/jpeg;base64,{t}", safe=""),
    "data:, blanks for plus signs": lambda t: f"data:image/jpeg;base64,{t}".replace("+", " "),
    "without data:": lambda t: f"image/jpeg;base64,{t}",
    "base64,": lambda t: f"base64,{t}",
}

SENT: dict[str, Callable[[World, str], httpx.Response]] = {
    "detect": lambda w, t: w.call("POST", "/v1/detect", json={"image_base64": t}),
    "detect, form": lambda w, t: w.call("POST", "/v1/detect", files={"image_base64": (None, t)}),
    "compare": lambda w, t: w.call("POST", "/v1/compare", json={"image1_base64": t, "image2_base64": t}),
    "enrol": lambda w, t: w.call("PUT", "/v1/collections/staff/persons/a", json={"image_base64": [t]}),
    "bulk": lambda w, t: w.call(
        "POST",
        "/v1/collections/staff/bulk",
        {**w.admin, "Content-Type": "application/x-ndjson"},
        content=json.dumps({"person": "a", "image_base64": t}),
    ),
    "fr-server": lambda w, t: fr_server.search(w, t),
    "fr-cloud": lambda w, t: Cloud(w).call("POST", "/detect", {"image": t}),
    "argos": lambda w, t: argos.Client(w).add(faceImage=t),
    "facepp": lambda w, t: facepp.Client(w, Role.SEARCH).post("detect", image_base64=t),
}


def lines(text: str, end: str, length: int) -> str:
    return end.join(text[at : at + length] for at in range(0, len(text), length))


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_a_text(form: str) -> None:
    assert decode_base64(FORMS[form](PLAIN), 1000) == PICTURE


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_random_bytes_of_every_length(form: str) -> None:
    draw = random.Random(form)
    for length in range(400, 480):
        # As a JPEG begins and ends: a plus sign at an end cannot be told from a blank.
        content = b"\xff\xd8\xff" + draw.randbytes(length) + b"\xd9"
        assert decode_base64(FORMS[form](b64(content)), 1000) == content, length


@pytest.mark.parametrize("endpoint", SENT)
def test_every_endpoint_takes_every_form(world: World, endpoint: str) -> None:
    most = 20 if endpoint == "bulk" else None  # unfinished uploads
    for form, written in list(FORMS.items())[:most]:
        answer = SENT[endpoint](world, written(PLAIN))
        assert answer.is_success, (form, answer.text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("not base64!", "the character '!' at position 10"),
        ("b'" + PLAIN + "'", 'the character "\'" at position 1'),
        ("ü" * 8, "the character 'ü' at position 0"),
        ("ab=c", "the character '=' at position 2"),
        ("abcde", "5 characters encode no whole number of bytes; some are missing"),
        ("data:image/jpeg,plain", "got 'data:image/jpeg',"),
        ("https://example.org/a,b.jpg", "got 'https://example.org/a',"),
    ],
)
def test_what_is_not_base64_is_said(text: str, words: str) -> None:
    with pytest.raises(ImageUndecodable) as raised:
        decode_base64(text, 1000)
    assert words in raised.value.message


@pytest.mark.parametrize("written", [*FORMS.values(), lambda t: " " * 90_000 + t, lambda t: quote(t) + "%41" * 90_000])
def test_a_text_of_too_many_bytes(written: Callable[[str], str]) -> None:
    with pytest.raises(ImageTooLarge, match="at most 999 bytes"):
        decode_base64(written(b64(b"\xff\xd8" + b"\xfb\xff" * 499)), 999)
