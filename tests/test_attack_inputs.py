"""The tools of ``make attack``: what they refuse, count and judge, and that hostile files are what they claim to be."""

from __future__ import annotations

import asyncio
import io
import zipfile
from collections.abc import Callable

import pytest
from PIL import Image

from scripts.attack import pictures, zips
from scripts.attack.attacker import Attack
from scripts.attack.battery import Bounds, Row, judge, judge_answers, kinds, table
from scripts.attack.inputs import ANYBODY, Input, at_once
from scripts.attack.target import Target, prepare

ANSWERED = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nno"


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1:8000", "http://example.com", "http://0.0.0.0:8000", "http://[2001::1]"]
)
def test_only_loopback_is_attacked(url: str) -> None:
    with pytest.raises(ValueError, match="loopback"):
        prepare(url, "key")


def test_every_input_has_a_name_of_its_own_and_most_have_a_short_form() -> None:
    inputs = [one for several in kinds(b"").values() for one in several]
    assert len({one.name for one in inputs}) == len(inputs) >= 40
    assert sum(one.short is not None for one in inputs) > 0.7 * len(inputs)


def outcome(answer: bytes | None, seconds: float = 10.0, **options: bool) -> Attack:
    """What an attack counts of a server that reads ten bytes, answers and closes; None: neither."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(10)
        if answer is None:
            await reader.read()
        else:
            writer.write(answer)
        writer.close()

    async def run() -> Attack:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        attack = Attack(Target(*server.sockets[0].getsockname(), "", "", "", (), ()))
        try:
            async with asyncio.timeout(seconds):
                await at_once(3, lambda _: [b"a" * 5, b"a" * 5], **options)(attack)
        except TimeoutError:
            pass
        server.close()
        return attack

    return asyncio.run(run())


def test_answers_ends_and_bytes_are_counted() -> None:
    assert (outcome(ANSWERED).answers, outcome(ANSWERED).sent) == ({"400": 3}, 30)
    assert outcome(b"").answers == {"closed": 3}
    assert outcome(ANSWERED, waits=True).answers == {"400": 3}


def test_what_the_service_does_not_end_is_held() -> None:
    assert outcome(None, seconds=0.2).answers == {"held": 3}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"stall_s": 0.6}, "healthz waited 0.6"),
        ({"searches": {"200": 5, "429": 1}}, "1 x 429"),
        ({"searches": {}}, "no answer"),
        ({"search_s": 2.5}, "waited 2.5"),
        ({"idle_s": None}, "not idle"),
        ({"idle_s": 2.6}, "not idle"),
        ({"grew_mb": 61.0, "sent": 20 * 10**6}, "at most 60 MB"),
        ({"grew_mb": 310.0, "sent": 10**9}, "at most 300 MB"),
    ],
)
def test_what_is_beyond_the_bounds_is_named(changes: dict[str, object], words: str) -> None:
    good = {"stall_s": 0.1, "searches": {"200": 9}, "search_s": 0.2, "idle_s": 0.4, "grew_mb": 30.0, "sent": 10}
    row = Row("headers", ANYBODY, **good)  # type: ignore[arg-type]
    assert judge(row, Bounds(), unpacked=0) == {}
    worse = Row("headers", ANYBODY, **{**good, **changes})  # type: ignore[arg-type]
    (text,) = judge(worse, Bounds(), unpacked=0).values()
    assert words in text
    worse.beyond = judge(worse, Bounds(), unpacked=0)
    assert next(iter(worse.beyond)) in table([row.as_json()], [worse.as_json()])


@pytest.mark.parametrize(
    ("make", "names", "unpacked"),
    [
        (lambda: zips.unpacking("manifest.jsonl", b"\n", 3), 1, 3 * 2**20),
        (lambda: zips.unpacking("p/a.jpg", b"\0", 1, entries=5), 5, 5 * 2**20),
        (lambda: zips.folders(20), 20, 0),
        (lambda: zips.entries(20, zip64=True), 20, 0),
    ],
)
def test_zips_unpack_to_what_they_claim(make: Callable[[], bytes], names: int, unpacked: int) -> None:
    with zipfile.ZipFile(io.BytesIO(make())) as read:
        assert len(read.infolist()) == names
        assert sum(len(read.read(entry)) for entry in read.infolist()) == unpacked


@pytest.mark.parametrize(
    ("make", "size"),
    [
        (lambda: pictures.jpeg_of_scans(640, 5), (640, 640)),
        (lambda: pictures.jpeg_of_segments(20), (64, 64)),
        (lambda: pictures.jpeg_of_filling(100), (64, 64)),
        (lambda: pictures.png(100, 16, 6), (100, 100)),
        (lambda: pictures.png(100, interlaced=True), (100, 100)),
        (lambda: pictures.png_of_chunks(20), (64, 64)),
        (lambda: pictures.webp(100, 50), (100, 50)),
        (lambda: pictures.webp_of_chunks(20), (64, 64)),
    ],
)
def test_images_are_images(make: Callable[[], bytes], size: tuple[int, int]) -> None:
    with Image.open(io.BytesIO(make())) as read:
        assert read.size == size
        read.load()


def test_a_bmp_may_end_before_its_first_pixel() -> None:
    with Image.open(io.BytesIO(pictures.bmp(100))) as read:
        assert read.size == (100, 100)


def test_an_input_says_which_answers_are_right() -> None:
    refused = Input("two keys", ANYBODY, at_once(1, lambda _: []), answers=frozenset({"400"}))
    attack = Attack(Target("127.0.0.1", 1, "", "", "", (), ()))
    attack.answers["200"] += 1
    assert "expected one of 400" in next(iter(judge_answers(refused, attack).values()))
