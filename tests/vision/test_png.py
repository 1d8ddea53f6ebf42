"""The chunks that a PNG file is decoded from."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image

from serve_app.vision.png import essential
from tests.fuzz.pictures import seeds


@pytest.mark.parametrize("name", [name for name in seeds() if "png" in name.lower() and not name.startswith("bomb")])
def test_the_picture_stays_the_same(name: str) -> None:
    data = seeds()[name]
    kept = essential(data)
    assert len(kept) <= len(data)
    if "more rows" not in name:
        before, after = (np.asarray(Image.open(io.BytesIO(each)).convert("RGBA")) for each in (data, kept))
        assert np.array_equal(before, after)


def test_what_is_not_the_picture_goes() -> None:
    found = seeds()
    kept = essential(found["png, texts and EXIF"])
    assert b"eXIf" in kept
    assert b"iTXt" not in kept
    assert b"fdAT" not in essential(found["png, animated"])
    assert essential(found["PNG, 20,000 faulty chunks"]) == found["png"]
    assert essential(found["two files in one"]) == found["png"]
    assert essential(found["png"]) == found["png"]


@pytest.mark.parametrize("length", [8, 9, 20, 40, 1000])
def test_a_file_that_is_cut_off_stays_so(length: int) -> None:
    kept = essential(seeds()["png"][:length])
    assert len(kept) <= length
    assert b"IEND" not in kept


def test_a_chunk_that_is_cut_off_has_the_length_that_is_there() -> None:
    """OpenCV would take memory for the length that it states: 4 GB here."""
    data = seeds()["png"]
    bomb = seeds()["bomb, PNG with a chunk that says 4 GB"]
    assert essential(bomb) == data[:33] + struct.pack(">I", len(bomb) - 33 - 8) + bomb[37:]
    cut = data[:-20]  # in its only IDAT
    assert essential(cut) == cut[:33] + struct.pack(">I", len(cut) - 33 - 8) + cut[37:]
