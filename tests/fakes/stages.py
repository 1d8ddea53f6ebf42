"""Doubles of the stages that run models: no models, the same answers every time.

A fake picture says what is on it: :func:`fake_picture` writes a description, :class:`FakeDetector` reads it. The same
``who`` gives nearly the same template, another ``who`` an unrelated one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from serve_app.domain import (
    Box,
    DetectedFace,
    Detection,
    DetectOptions,
    ImageInfo,
    Liveness,
    Pixels,
    Quality,
    QualityCode,
    Vectors,
)
from serve_app.errors import ImageFormatUnsupported, ImageUndecodable, LivenessUnavailable
from serve_app.score import Calibration

FAKE_MODEL = "fake-embedder"
FAKE_LIVENESS_MODEL = "fake-liveness"
FAKE_CALIBRATION = Calibration({1e-1: 0.2, 1e-2: 0.3, 1e-3: 0.4, 1e-4: 0.5, 1e-5: 0.6, 1e-6: 0.7})
DIMENSION = 64
CROP_SIDE = 112
MAGIC = b"\xff\xd8\xff\xe0fake"
"""First bytes of a fake picture: those of a JPEG, so that media types come out right."""


@dataclass(frozen=True)
class FakeFace:
    """A face on a fake picture.

    Attributes:
        who: identity; decides the template.
        take: which photograph of that person; other takes differ slightly.
        live: probability of a live person.
        size: width of the box in pixels.
        codes: quality codes.
        quality: 0 to 1.
        turned: degrees clockwise.
    """

    who: str
    take: int = 0
    live: float = 0.9
    size: float = 100.0
    codes: tuple[str, ...] = ()
    quality: float = 0.8
    turned: int = 0


def fake_picture(
    *faces: FakeFace | str, width: int = 640, height: int = 480, padding: int = 0, left_out: int = 0
) -> bytes:
    """A picture with these faces; ``padding`` more bytes make it as large as a real one.

    ``left_out`` is the number of further faces, beyond the limit.
    """
    described = [asdict(face if isinstance(face, FakeFace) else FakeFace(face)) for face in faces]
    content = {"width": width, "height": height, "faces": described, "left_out": left_out}
    return MAGIC + json.dumps(content).encode() + b" " * padding


class FakeStage:
    """A stage that is ready unless ``failure`` is set, which every call then raises."""

    def __init__(self) -> None:
        self.failure: Exception | None = None

    def check(self) -> None:
        """Raise what the test has set."""
        if self.failure is not None:
            raise self.failure

    async def ready(self) -> Mapping[str, Any]:
        """Facts, or the failure."""
        self.check()
        return {"stage": type(self).__name__}


class FakeDetector(FakeStage):
    """Reads fake pictures."""

    async def detect(self, image: bytes, options: DetectOptions) -> Detection:
        """Raises ImageFormatUnsupported for anything but a fake picture, ImageUndecodable for a damaged one."""
        self.check()
        if not image.startswith(MAGIC):
            raise ImageFormatUnsupported("A fake picture was expected.")
        try:
            described = json.loads(image[len(MAGIC) :])
        except ValueError:
            raise ImageUndecodable("The fake picture is damaged.") from None
        faces = sorted((FakeFace(**face) for face in described["faces"]), key=lambda face: -face.size)
        info = ImageInfo(described["width"], described["height"], "JPEG", len(image))
        found = tuple(_detected(face, options.liveness) for face in faces[: options.max_faces])
        return Detection(info, found, left_out=described.get("left_out", 0))

    async def liveness_crops(self, image: bytes, places: Sequence[tuple[Box, int]]) -> list[Mapping[str, Pixels]]:
        """Of the faces in these places."""
        detection = await self.detect(image, DetectOptions(liveness=True))
        by_box = {face.box: face.liveness_crops for face in detection.faces}
        return [by_box[box] for box, _ in places]


class FakeEmbedder(FakeStage):
    """Templates by identity: takes of one person have a cosine around 0.9, persons are unrelated."""

    async def embed(self, crops: Sequence[Pixels], model: str) -> Vectors:
        """float32 (n, 64), unit rows."""
        self.check()
        return np.stack([_template(crop) for crop in crops]) if crops else np.empty((0, DIMENSION), np.float32)


class FakeLiveness(FakeStage):
    """Answers what the picture says; ``installed`` False answers LivenessUnavailable."""

    def __init__(self, threshold: float = 0.5) -> None:
        super().__init__()
        self.threshold = threshold
        self.installed = True

    async def score(self, faces: Sequence[DetectedFace], threshold: float | None = None) -> list[Liveness]:
        """One result per face."""
        self.check()
        if not self.installed:
            raise LivenessUnavailable("No liveness model is installed.")
        needed = self.threshold if threshold is None else threshold
        probabilities = [int(face.liveness_crops[FAKE_LIVENESS_MODEL][0, 0, 0]) / 200 for face in faces]
        return [Liveness(value, {FAKE_LIVENESS_MODEL: value}, needed) for value in probabilities]


def _detected(face: FakeFace, liveness: bool) -> DetectedFace:
    left, top, size = 50.0, 40.0, face.size
    eyes_to_mouth = [(0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8)]
    landmarks = np.array([(left + x * size, top + y * size * 1.25) for x, y in eyes_to_mouth], np.float32)
    crop = np.zeros((CROP_SIDE, CROP_SIDE, 3), np.uint8)
    crop[0, :32, 0] = _digest(face.who)
    crop[1, :32, 0] = _digest(f"{face.who}/{face.take}")
    probability = np.full((80, 80, 3), round(face.live * 200), np.uint8)
    return DetectedFace(
        box=Box(left, top, size, size * 1.25),
        landmarks=landmarks,
        detection_score=0.95,
        quality=Quality(
            face.quality, 300.0, 120.0, 0.4 * size, float(face.turned), 0.0, frozenset(map(QualityCode, face.codes))
        ),
        crop=crop,
        turned=face.turned,
        liveness_crops={FAKE_LIVENESS_MODEL: probability} if liveness else {},
    )


def _digest(text: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.frombuffer(hashlib.sha256(text.encode()).digest(), np.uint8)


def _template(crop: Pixels) -> np.ndarray[Any, np.dtype[np.float32]]:
    person, take = (np.random.default_rng(crop[row, :32, 0].tolist()).standard_normal(DIMENSION) for row in (0, 1))
    vector = person / np.linalg.norm(person) + 0.3 * take / np.linalg.norm(take)
    return np.asarray(vector / np.linalg.norm(vector), np.float32)
