"""Fuzz targets: each takes bytes and either does its work or raises the documented error."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from serve_app.api.request_images import decode_base64
from serve_app.domain import ImageStorage, NewCollection, PersonFields
from serve_app.errors import ConfigurationError, ImageError, InvalidRequest
from serve_app.gallery.archive import ArchiveReader, ArchiveWriter, export_archive
from serve_app.resources import resource_dir
from serve_app.settings import Limits
from serve_app.vision.catalogue import read_entry
from serve_app.vision.image import read_image
from tests.fuzz import pictures, requests

LIMITS = Limits()
LONG_SIDE = 64  # as the detector asks for, so that reduced decoding is tried too


class Target(NamedTuple):
    """What reads, what it may raise, and well-formed input; what most damaged input is led through before.

    A text that is returned says how it went.
    """

    read: Callable[[bytes], object]
    errors: tuple[type[Exception], ...]
    seeds: Callable[[], list[bytes]]
    mend: Callable[[bytes], bytes] = bytes


def picture(data: bytes) -> object:
    """A picture's file, whole and reduced."""
    info, pixels = read_image(data, LIMITS)
    assert pixels.shape == (info.height, info.width, 3)
    return read_image(data, LIMITS, long_side=LONG_SIDE)


def base64_text(data: bytes) -> object:
    """A picture's text."""
    return decode_base64(data.decode("utf-8", "surrogateescape"), LIMITS.max_image_bytes)


def catalogue(data: bytes) -> object:
    """An entry of the model catalogue."""
    with tempfile.NamedTemporaryFile(suffix=".toml") as file:
        file.write(data)
        file.flush()
        entry = read_entry(Path(file.name))
    if entry.anchors is not None:
        assert 0 <= entry.calibration().score(0.3) <= 1
    return entry


def archive(data: bytes) -> object:
    """A backup: every member of it."""
    return [len(content) for _, content in ArchiveReader(io.BytesIO(data)).members()]


def _entries() -> list[bytes]:
    entries = [path.read_bytes() for path in sorted(resource_dir("models").glob("*.toml"))]
    deep = b"x = " + b"[" * 3000 + b"]" * 3000
    return [*entries, *(entry + b"\n" + deep for entry in entries[:1]), b"size = " + b"9" * 10_000]


def _texts() -> list[bytes]:
    return [b"data:image/jpeg;base64,/9j/4AAQSkZJRg==", b"/9j/4AAQ\r\nSkZJRg", "ünïcode=".encode(), b"=" * 1000]


def _backup() -> list[bytes]:
    from tests.gallery.samples import face
    from tests.gallery.stores import in_memory

    stream = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder, in_memory(Path(folder)) as gallery:
        gallery.create_collection("0" * 32, NewCollection("staff"))
        new = face(1, storage=ImageStorage.FULL, photograph=b"\xff\xd8" * 50)
        gallery.put_person("0" * 32, "ada", ["staff"], PersonFields(name="Ada"), [new])
        with ArchiveWriter(stream) as writer:
            export_archive(gallery._database, gallery._blobs, writer)
    return [stream.getvalue()]


TARGETS: Mapping[str, Target] = {
    "base64": Target(base64_text, (ImageError,), _texts),
    "catalogue": Target(catalogue, (ConfigurationError,), _entries),
    "request": Target(requests.send, (), requests.seeds, requests.mend),
    "archive": Target(archive, (InvalidRequest,), _backup),
    "picture": Target(picture, (ImageError,), lambda: list(pictures.seeds().values())),
}

if __name__ == "__main__":
    print(*TARGETS)
