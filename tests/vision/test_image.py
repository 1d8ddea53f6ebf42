"""Image decoding: formats, orientation, limits, damage."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from serve_app.domain import Pixels
from serve_app.errors import ImageDimensions, ImageError, ImageFormatUnsupported, ImageTooLarge, ImageUndecodable
from serve_app.settings import Limits
from serve_app.vision.image import encode_jpeg, read_image
from tests import photos

LIMITS = Limits()
FORMATS = ("JPEG", "PNG", "WEBP", "BMP")
LOSSLESS: dict[str, dict[str, Any]] = {"PNG": {}, "WEBP": {"lossless": True}, "BMP": {}}


def picture(width: int = 60, height: int = 40) -> Image.Image:
    """A smooth gradient, red in the top left corner."""
    y, x = np.mgrid[:height, :width]
    channels = [255 - 200 * x // width, 150 * y // height, 100 * x // width]
    return Image.fromarray(np.stack(channels, axis=2).astype(np.uint8))


def file_of(image: Image.Image, container: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, container, **options)
    return buffer.getvalue()


def bgr(image: Image.Image) -> Pixels:
    return np.asarray(image.convert("RGB"))[..., ::-1]


def difference(a: Pixels, b: Pixels) -> float:
    assert a.shape == b.shape
    return float(np.abs(a.astype(int) - b.astype(int)).mean())


@pytest.mark.parametrize("container", FORMATS)
def test_formats(container: str) -> None:
    data = file_of(picture(), container)
    info, pixels = read_image(data, LIMITS)
    assert (info.width, info.height, info.format, info.num_bytes) == (60, 40, container, len(data))
    assert pixels.dtype == np.uint8
    assert pixels.flags["C_CONTIGUOUS"]
    assert difference(pixels, bgr(picture())) < 3


@pytest.mark.parametrize("container", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (3, 2), (6, 3), (8, 1)])
def test_exif_orientation_is_applied(container: str, orientation: int, turns: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    info, pixels = read_image(file_of(picture(), container, exif=exif.tobytes()), LIMITS)
    upright = np.rot90(bgr(picture()), turns)
    assert (info.height, info.width) == upright.shape[:2]
    assert difference(pixels, upright) < 3


@pytest.mark.parametrize("container", LOSSLESS)
def test_transparency_is_dropped(container: str) -> None:
    image = picture().convert("RGBA")
    image.putalpha(0)
    options = {"exact": True} if container == "WEBP" else {}
    _, pixels = read_image(file_of(image, container, **LOSSLESS[container], **options), LIMITS)
    assert difference(pixels, bgr(picture())) == 0


@pytest.mark.parametrize(
    ("mode", "container"), [("L", "JPEG"), ("L", "PNG"), ("P", "PNG"), ("1", "BMP"), ("CMYK", "JPEG")]
)
def test_other_colour_models_become_bgr(mode: str, container: str) -> None:
    image = picture().convert(mode)
    _, pixels = read_image(file_of(image, container), LIMITS)
    assert difference(pixels, bgr(image)) < 4


def test_sixteen_bits_become_eight() -> None:
    wide = np.arange(40 * 60, dtype=np.uint16).reshape(40, 60) * 27
    _, pixels = read_image(file_of(Image.fromarray(wide), "PNG"), LIMITS)
    assert pixels.shape == (40, 60, 3)
    assert np.abs(pixels[..., 0].astype(int) - wide // 256).max() <= 1


@pytest.mark.parametrize("container", ["PNG", "WEBP"])
def test_of_an_animation_the_first_frame_is_taken(container: str) -> None:
    other = picture().transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    data = file_of(picture(), container, save_all=True, append_images=[other], duration=100)
    info, pixels = read_image(data, LIMITS)
    assert info.format == container
    assert difference(pixels, bgr(picture())) < 8 < difference(pixels, bgr(other))


def test_a_phone_s_multi_picture_file_is_a_jpeg() -> None:
    info, _ = read_image(file_of(picture(), "MPO", save_all=True, append_images=[picture()]), LIMITS)
    assert info.format == "JPEG"


@pytest.mark.parametrize("container", FORMATS)
@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_cut_off_files(container: str, share: float) -> None:
    data = file_of(Image.effect_noise((200, 150), 60).convert("RGB"), container)
    with pytest.raises(ImageUndecodable, match=container):
        read_image(data[: int(len(data) * share)], LIMITS)


@pytest.mark.parametrize("data", [b"hello, I am no picture", b"GIF89a" + bytes(40), b"%PDF-1.7", b"<svg/>"])
def test_other_formats(data: bytes) -> None:
    with pytest.raises(ImageFormatUnsupported, match="Expected a JPEG, PNG, WebP or BMP"):
        read_image(data, LIMITS)


def test_no_bytes() -> None:
    with pytest.raises(ImageUndecodable, match="empty"):
        read_image(b"", LIMITS)


def test_too_many_bytes() -> None:
    data = photos.astronaut()
    with pytest.raises(ImageTooLarge) as caught:
        read_image(data, Limits(max_image_bytes=len(data) - 1))
    assert caught.value.details["max_bytes"] == len(data) - 1
    read_image(data, Limits(max_image_bytes=len(data)))


def test_too_many_pixels() -> None:
    with pytest.raises(ImageTooLarge, match="512 x 512"):
        read_image(photos.astronaut(), Limits(max_image_pixels=512 * 512 - 1))
    read_image(photos.astronaut(), Limits(max_image_pixels=512 * 512))


@pytest.mark.parametrize(("width", "height"), [(30_000, 30_000), (2**31 - 1, 2**31 - 1), (60_000, 700)])
def test_a_decompression_bomb_is_refused_by_its_header(width: int, height: int) -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    bomb = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    with pytest.raises(ImageTooLarge):
        read_image(bomb, LIMITS)


@pytest.mark.parametrize("side", [7_000, 16_000])
def test_a_webp_bomb(side: int) -> None:
    data = bytearray(file_of(picture(), "WEBP", lossless=True))
    assert data[12:16] == b"VP8L"
    bits = int.from_bytes(data[21:25], "little")  # after the signature byte: 14 bits of width - 1, 14 of height - 1
    data[21:25] = (bits >> 28 << 28 | (side - 1) << 14 | (side - 1)).to_bytes(4, "little")
    with pytest.raises(ImageTooLarge):
        read_image(bytes(data), LIMITS)


def test_too_small() -> None:
    with pytest.raises(ImageDimensions, match="60 x 15"):
        read_image(file_of(picture(60, 15), "PNG"), LIMITS)
    read_image(file_of(picture(60, 16), "PNG"), LIMITS)


def test_damaged_exif_says_nothing_and_does_not_matter() -> None:
    data = file_of(picture(), "JPEG", exif=b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x05" + b"\xff" * 20)
    program = (
        "import sys; from serve_app.vision.image import read_image; from serve_app.settings import Limits; "
        "print(read_image(sys.stdin.buffer.read(), Limits())[1].shape)"
    )
    done = subprocess.run([sys.executable, "-c", program], input=data, capture_output=True, timeout=240, check=False)
    assert (done.stdout.decode().strip(), done.stderr) == ("(40, 60, 3)", b"")


@given(st.sampled_from(FORMATS), st.binary(min_size=1, max_size=12), st.data())
def test_hostile_bytes_end_in_an_answer(container: str, junk: bytes, data: st.DataObject) -> None:
    image = bytearray(file_of(picture(), container))
    at = data.draw(st.integers(0, len(image) - 1))
    image[at : at + len(junk)] = junk
    try:
        info, pixels = read_image(bytes(image), LIMITS)
    except ImageError:
        return
    assert pixels.shape == (info.height, info.width, 3)


def test_encode_jpeg_round_trip() -> None:
    pixels = bgr(picture())
    info, decoded = read_image(encode_jpeg(np.ascontiguousarray(pixels)), LIMITS)
    assert info.format == "JPEG"
    assert difference(decoded, pixels) < 2
    assert len(encode_jpeg(pixels, quality=30)) < len(encode_jpeg(pixels))
