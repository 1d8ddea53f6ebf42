"""Images that are cheap to send and dear to decode are refused by their headers; the processor time says so."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from serve_app.errors import ImageError, ImageTooLarge
from serve_app.settings import Limits
from serve_app.vision import jpeg as jpeg_files
from serve_app.vision.image import read_image
from tests.hostile_files import MEBIBYTE, jpeg, many_scans, png, png_chunk, segment

LIMITS = Limits()
LARGEST = 6320  # pixels a side: just below the 40 megapixels that are accepted
WORST_S = 2.0
"""Processor seconds of the dearest image that is accepted, of one attempt to decode it."""

ORDINARY = jpeg()


HOSTILE: dict[str, Callable[[], bytes]] = {
    "scans, large": lambda: many_scans(LARGEST, 5000),
    "scans, small": lambda: many_scans(64, 200),
    "scans behind a second start of a segment": lambda: many_scans(64, 200, b"\xff\x05\xff\xff"),
    "scans behind garbage": lambda: many_scans(64, 200, b"garbage"),
    "comments": lambda: ORDINARY[:2] + segment(0xFE, b"") * 3_000_000 + ORDINARY[2:],
    "application segments": lambda: ORDINARY[:2] + segment(0xE5, b"") * 3_000_000 + ORDINARY[2:],
    "PNG, empty chunks": lambda: png(before=png_chunk(b"teSt") * 1_000_000),
    "PNG, empty data chunks": lambda: png(before=png_chunk(b"IDAT") * 1_000_000),
    "PNG, data behind the pixels": lambda: png(hidden=15 * MEBIBYTE),
    "PNG, data behind many pixels": lambda: png(4000, hidden=15 * MEBIBYTE),
    "WebP, cut off": lambda: b"RIFF\xff\xff\xff\xffWEBP" + b"teSt\0\0\0\0" * 1_900_000,
}


@pytest.mark.parametrize("case", HOSTILE)
def test_it_is_refused_without_work(case: str) -> None:
    data = HOSTILE[case]()
    assert len(data) <= LIMITS.max_image_bytes
    began = time.thread_time()
    with pytest.raises(ImageError, match=r"more than|far more"):
        read_image(data, LIMITS)
    assert time.thread_time() - began < 0.5


DEAR: dict[str, Callable[[], bytes]] = {
    "25 scans at 40 megapixels": lambda: many_scans(LARGEST, 24),
    "100 scans of a smaller image": lambda: many_scans(LARGEST // 2, 99),
    "1,000 scans behind the end": lambda: ORDINARY + many_scans(64, 1000),
    "fill bytes": lambda: ORDINARY[:2] + b"\xff" * 15_000_000 + ORDINARY[2:],
    "restarts before the pixels": lambda: ORDINARY[:2] + b"\xff\xd0" * 7_000_000 + ORDINARY[2:],
    "half a MiB of data behind the pixels": lambda: png(hidden=MEBIBYTE // 2 - 20_000),
    "300 segments": lambda: ORDINARY[:2] + segment(0xE2, bytes(50_000)) * 300 + ORDINARY[2:],
}


@pytest.mark.parametrize("case", DEAR)
def test_what_is_accepted_costs_little(case: str) -> None:
    data = DEAR[case]()
    began = time.thread_time()
    read_image(data, LIMITS)
    assert time.thread_time() - began < WORST_S


def test_scans_are_counted_up_to_the_end_of_the_image() -> None:
    """Phones put videos behind it, in which any bytes occur; and previews in front of it."""
    progressive = jpeg(progressive=True)
    preview = segment(0xE2, b"\xff\xda" * 30_000)
    at = progressive.index(b"\xff\xda")
    for data in (progressive + b"\xff\xda" * 1000, progressive[:2] + preview + progressive[2:]):
        assert read_image(data, LIMITS)[0].width == 64
    inside = progressive[: progressive.index(b"\xff\xda", at + 2)]
    assert read_image(inside + preview + progressive[len(inside) :], LIMITS)[0].width == 64


@pytest.mark.parametrize("begin", range(4))
def test_pairs_of_bytes_are_counted_at_any_offset(begin: int) -> None:
    data = b"\xff\xda.\xff\xda\xff\xff\xda"
    for end in range(begin, len(data) + 1):
        assert jpeg_files._occurrences(b"\xff\xda", data[:end], begin) == data[:end].count(b"\xff\xda", begin)


def test_a_larger_setting_allows_as_many_scans_of_larger_images() -> None:
    data = many_scans(2000, 30)
    with pytest.raises(ImageTooLarge, match="more than 25 scans"):
        read_image(data, Limits(max_image_pixels=2000 * 2000))
    assert read_image(data, LIMITS)[0].width == 2000
