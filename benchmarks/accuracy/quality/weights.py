"""The fit of the weights of ``quality``: a logistic regression of false non-matches on the burdens of two images.

On ordinary pairs of images, and on pairs with one image made small, blurred, dark or bright, since press photographs
seldom are any of these. The burdens of both images are added, so the part of one face can be read off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from benchmarks.common.statistics import Floats, logistic
from serve_app.domain import DetectedFace, Pixels
from serve_app.settings import Limits
from serve_app.vision.face_reader import FaceReader
from serve_app.vision.image import encode_jpeg, read_image
from serve_app.vision.quality import burdens

RIDGE = 1.0


def fit(burdens_of_pairs: Floats, missed: NDArray[np.bool_]) -> tuple[float, Floats]:
    """Intercept and weights of one image's part, by logistic regression with a small ridge.

    Args:
        burdens_of_pairs: (n, 5), the sum of both images' burdens.
        missed: (n,), whether the pair's cosine is below the threshold.
    """
    found = logistic(burdens_of_pairs, missed, np.ones(len(missed)), RIDGE)
    return float(found[-1]) / 2, found[:-1]


def burdens_of(faces: Sequence[DetectedFace]) -> Floats:
    """The burdens of faces, (n, 5)."""
    return np.stack([burdens(face.landmarks, face.detection_score, face.quality.sharpness) for face in faces])


def spoiled_pairs(
    people: Mapping[str, Sequence[Path]], reader: FaceReader, limits: Limits, seed: int = 0
) -> tuple[Floats, Floats]:
    """One pair of each person, its first image spoiled: the sums of both images' burdens (n, 5), cosines (n,)."""
    random = np.random.default_rng(seed)
    sums, cosines = [], []
    for number, pictures in enumerate(track(list(people.values()), description="Spoiling")):
        other = reader.central(pictures[1].read_bytes())
        pixels = read_image(pictures[0].read_bytes(), limits)[1]
        spoiled = reader.central(encode_jpeg(SPOILERS[number % len(SPOILERS)](pixels, random)))
        if other is not None and spoiled is not None:
            sums.append(burdens_of([other.face, spoiled.face]).sum(axis=0))
            cosines.append(float(other.template @ spoiled.template))
    return np.stack(sums), np.array(cosines)


def _small(pixels: Pixels, random: np.random.Generator) -> Pixels:
    scale = random.uniform(0.12, 0.55)  # a face of about 12 to 60 pixels
    return np.asarray(cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)


def _blurred(pixels: Pixels, random: np.random.Generator) -> Pixels:
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), random.uniform(0.8, 6)), np.uint8)


def _exposed(pixels: Pixels, random: np.random.Generator) -> Pixels:
    return np.asarray(np.clip(pixels * 2.0 ** random.uniform(-3.5, 3.5), 0, 255), np.uint8)


def _moved(pixels: Pixels, random: np.random.Generator) -> Pixels:
    size = int(random.uniform(3, 21)) | 1
    line = np.zeros((size, size), np.float32)
    line[size // 2] = 1 / size
    middle = (size / 2 - 0.5, size / 2 - 0.5)
    turned = cv2.warpAffine(line, cv2.getRotationMatrix2D(middle, random.uniform(0, 180), 1), (size, size))
    return np.asarray(cv2.filter2D(pixels, -1, turned), np.uint8)


SPOILERS = (_small, _blurred, _exposed, _moved)
