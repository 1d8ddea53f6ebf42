"""Images with a known fault, and error rates of the quality codes on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.progress import track

from benchmarks.common.models import open_analyser
from benchmarks.common.statistics import error_rate
from serve_app.domain import Box, DetectOptions, Pixels, QualityCode
from serve_app.settings import Settings
from serve_app.vision.face_reader import central_face
from serve_app.vision.image import encode_jpeg, read_image

Fault = Callable[[Pixels, Box, np.random.Generator], tuple[Pixels, bool]]
"""Makes another image of an image and its face's box, and says whether it has the fault."""


def cropped(pixels: Pixels, box: Box, random: np.random.Generator) -> tuple[Pixels, bool]:
    """The image's left edge moves: 5 to 25 % into the face, or 5 to 30 % of its width away from it."""
    faulty = bool(random.random() < 0.5)
    inside = random.uniform(0.05, 0.25) if faulty else -random.uniform(0.05, 0.3)
    column = max(0, round(box.x + inside * box.width))
    return np.ascontiguousarray(pixels[:, column:]), faulty


def turned(pixels: Pixels, box: Box, random: np.random.Generator) -> tuple[Pixels, bool]:
    """The image is turned: by 35 to 60 degrees, or by less than 20."""
    faulty = bool(random.random() < 0.5)
    angle = random.choice([-1, 1]) * (random.uniform(35, 60) if faulty else random.uniform(0, 20))
    centre = (box.x + box.width / 2, box.y + box.height / 2)
    matrix = cv2.getRotationMatrix2D(centre, float(angle), 1.0)
    height, width = pixels.shape[:2]
    return np.asarray(cv2.warpAffine(pixels, matrix, (width, height)), np.uint8), faulty


def small(pixels: Pixels, box: Box, random: np.random.Generator) -> tuple[Pixels, bool]:
    """The image is scaled: the face becomes 25 to 70 pixels wide, or 90 to 150."""
    faulty = bool(random.random() < 0.5)
    scale = (random.uniform(25, 70) if faulty else random.uniform(90, 150)) / box.width
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=method), np.uint8), faulty


def blurred(pixels: Pixels, box: Box, random: np.random.Generator) -> tuple[Pixels, bool]:
    """A Gaussian blur with a deviation of 4.5 to 7 % of the face's width, or none."""
    faulty = bool(random.random() < 0.5)
    if faulty:
        pixels = np.asarray(cv2.GaussianBlur(pixels, (0, 0), random.uniform(0.045, 0.07) * box.width), np.uint8)
    return pixels, faulty


FAULTS: dict[QualityCode, Fault] = {
    QualityCode.FACE_CROPPED: cropped,
    QualityCode.FACE_ANGLE_TOO_LARGE: turned,
    QualityCode.FACE_TOO_SMALL: small,
    QualityCode.FACE_BLURRED: blurred,
}


def fault_rates(pictures: Sequence[Path], settings: Settings, seed: int = 0) -> dict[str, dict[str, Any]]:
    """Code -> false alarms and misses; faces that are no longer found are counted apart."""
    analyser = open_analyser(settings)
    random = np.random.default_rng(seed)
    outcomes: dict[QualityCode, list[tuple[bool, bool | None]]] = {code: [] for code in FAULTS}
    for path in track(pictures, description="Changing"):
        original = path.read_bytes()
        before = analyser.analyse(original, DetectOptions())
        if not before.faces:
            continue
        pixels, face = read_image(original, settings.limits)[1], central_face(before)
        for code, change in FAULTS.items():
            changed, faulty = change(pixels, face.box, random)
            after = analyser.analyse(encode_jpeg(changed), DetectOptions()).faces
            outcomes[code].append((faulty, code in after[0].quality.codes if after else None))
    return {str(code): _rates(found) for code, found in outcomes.items()}


def _rates(found: Sequence[tuple[bool, bool | None]]) -> dict[str, Any]:
    seen = [(faulty, flagged) for faulty, flagged in found if flagged is not None]
    sound, faulty = ([bool(flagged) for fault, flagged in seen if fault == kind] for kind in (False, True))
    return {
        "false_alarms": error_rate(sum(sound), len(sound)),
        "misses": error_rate(len(faulty) - sum(faulty), len(faulty)),
        "not_found": len(found) - len(seen),
    }
