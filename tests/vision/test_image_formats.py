"""A file of a format that is not read is named in the refusal."""

from __future__ import annotations

import base64
import io
import struct
from pathlib import Path

import pytest
from PIL import Image, features

from serve_app.errors import ImageFormatUnsupported
from serve_app.settings import Limits
from serve_app.vision import image_formats
from serve_app.vision.image import read_image


def ftyp(*brands: bytes) -> bytes:
    body = brands[0] + bytes(4) + b"".join(brands[1:])
    return struct.pack(">I", 8 + len(body)) + b"ftyp" + body + bytes(200)


def saved(container: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(buffer, container)
    return buffer.getvalue()


FILES = {
    "HEIC": ftyp(b"heic", b"mif1", b"heic"),
    "HEIC (mif1 first)": ftyp(b"mif1", b"mif1", b"heic", b"miaf"),
    "AVIF": ftyp(b"avif", b"mif1", b"miaf"),
    "AVIF (mif1 first)": ftyp(b"mif1", b"avif", b"miaf"),
    "HEIF": ftyp(b"msf1", b"iso8"),
    "QuickTime video": ftyp(b"qt  "),
    "MP4 video": ftyp(b"isom", b"mp41"),
    "raw camera (CR3)": ftyp(b"crx ", b"isom"),
    "JPEG XL": b"\0\0\0\x0cJXL \r\n\x87\n",
    "PDF": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
    "SVG": b'<svg xmlns="http://www.w3.org/2000/svg"/>',
    "SVG (after a declaration)": b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- Made by hand -->\n<svg\nwidth="1"/>',
    "HTML": b"\n<!DOCTYPE html><html><body>Not found</body></html>",
    "XML": b'<?xml version="1.0"?><Error>Denied</Error>',
    "JSON": b'{"image": "eA=="}',
    "text": b"an image",
    "text, a URL": b"https://example.org/ada.jpg",
    "text, base64 of a JPEG file": base64.encodebytes(b"\xff\xd8\xff\xe0" + bytes(range(100))),
    "text, base64 of a PNG file": b"data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(100)),
    "RIFF": b"RIFF\x24\0\0\0WAVEfmt ",
    "AVI video": b"RIFF\x24\0\0\0AVI LIST",
    "Matroska or WebM video": b"\x1a\x45\xdf\xa3\x9f\x42\x86",
    "ZIP": b"PK\x03\x04\x14\0",
    "DICOM": bytes(128) + b"DICM",
    "Photoshop": b"8BPS\0\1",
}
WRITTEN_BY_PILLOW = {
    "GIF": "GIF",
    "TIFF": "TIFF",
    "icon (ICO)": "ICO",
    "icon (ICNS)": "ICNS",
    "Netpbm (PBM, PGM, PPM)": "PPM",
    "DDS": "DDS",
    "PDF": "PDF",
    "PostScript": "EPS",
    "AVIF": "AVIF",
    "JPEG 2000": "JPEG2000",
}


def refusal(data: bytes) -> str:
    with pytest.raises(ImageFormatUnsupported) as raised:
        read_image(data, Limits())
    return raised.value.message


@pytest.mark.parametrize("name", FILES)
def test_the_format_that_came_and_those_that_are_read(name: str) -> None:
    message = refusal(FILES[name])
    assert message.startswith("Expected a JPEG, PNG, WebP or BMP file; got a file of the format ")
    assert f"of the format {name.partition(' (')[0] if '(' in name and 'CR3' not in name else name}" in message


@pytest.mark.parametrize("name", WRITTEN_BY_PILLOW)
def test_files_of_other_formats(name: str) -> None:
    container = WRITTEN_BY_PILLOW[name]
    needed = {"AVIF": "avif", "JPEG2000": "jpg_2000"}.get(container)
    if needed and not features.check(needed):
        pytest.skip(f"Pillow was built without {needed}")
    assert refusal(saved(container)).endswith(f"got a file of the format {name}.")


def test_what_has_no_name() -> None:
    assert refusal(b"\x01\x02\xfe\xff" * 3).endswith("got 12 bytes that begin with 01 02 fe ff 01 02 fe ff.")
    assert refusal(bytes(1000)).endswith("got 1000 bytes that are all zero.")


def test_every_format_that_is_read_is_expected_and_documented() -> None:
    document = (Path(__file__).parents[2] / "docs" / "api.md").read_text().lower()
    for each in image_formats.READ:
        assert each.name.lower() in image_formats.EXPECTED.lower()
        assert each.name.lower() in document
        assert image_formats.format_of(saved(each.name)) == each
