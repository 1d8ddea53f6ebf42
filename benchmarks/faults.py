"""Pictures with a known fault, and how often the quality codes see it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.progress import track

from benchmarks.statistics import wilson
from serve_app.domain import Box, DetectedFace, DetectOptions, Pixels, QualityCode
from serve_app.settings import Settings
from serve_app.vision.catalogue import Catalogue
from serve_app.vision.face_analyser import FaceAnalyser
from serve_app.vision.face_reader import central_face
from serve_app.vision.image import encode_jpeg, read_image
from serve_app.vision.model_files import ModelFiles
from serve_app.vision.onnx_session import open_session

Fault = Callable[[Pixels, Box, np.random.Generator], tuple[Pixels, bool]]
"""A picture and its face's box become another picture; and whether that has the fault."""


def cropped(pixels: Pixels, box: Box, random: np.random.Generator) -> tuple[Pixels, bool]:
    """The picture's left edge moves: 5 to 25 % into the face, or 5 to 30 % of its width away from it."""
    faulty = bool(random.random() < 0.5)
    inside = random.uniform(0.05, 0.25) if faulty else -random.uniform(0.05, 0.3)
    column = max(0, round(box.x + inside * box.width))
    return np.ascontiguousarray(pixels[:, column:]), faulty


def turned(pixels: Pixels, box: Box, random: np.random.Generator) -> tuple[Pixels, bool]:
    """The picture is turned: by 35 to 60 degrees, or by less than 20."""
    faulty = bool(random.random() < 0.5)
    angle = random.choice([-1, 1]) * (random.uniform(35, 60) if faulty else random.uniform(0, 20))
    centre = (box.x + box.width / 2, box.y + box.height / 2)
    matrix = cv2.getRotationMatrix2D(centre, float(angle), 1.0)
    height, width = pixels.shape[:2]
    return np.asarray(cv2.warpAffine(pixels, matrix, (width, height)), np.uint8), faulty


def small(pixels: Pixels, box: Box, random: np.random.Generator) -> tuple[Pixels, bool]:
    """The picture is scaled: the face gets 25 to 70 pixels wide, or 90 to 150."""
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
    """Code -> false alarms and misses; a face that is not found any more is counted apart."""
    catalogue, files = Catalogue.load(), ModelFiles(settings.model_dir, settings.model_cache_dir)
    session = open_session(files, catalogue.get(settings.detector.model), settings.detector.inference)
    analyser = FaceAnalyser(session, settings.detector, settings.limits)
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
            outcomes[code].append((faulty, code in _largest(after).quality.codes if after else None))
    return {str(code): _rates(found) for code, found in outcomes.items()}


def _largest(faces: Sequence[DetectedFace]) -> DetectedFace:
    return max(faces, key=lambda face: face.box.area)


def _rates(found: Sequence[tuple[bool, bool | None]]) -> dict[str, Any]:
    seen = [(faulty, flagged) for faulty, flagged in found if flagged is not None]
    sound, faulty = [flagged for fault, flagged in seen if not fault], [flagged for fault, flagged in seen if fault]
    return {
        "false_alarms": _share(sum(map(bool, sound)), len(sound)),
        "misses": _share(len(faulty) - sum(map(bool, faulty)), len(faulty)),
        "not_found": len(found) - len(seen),
    }


def _share(hits: int, trials: int) -> dict[str, Any]:
    if not trials:
        return {"errors": 0, "of": 0, "value": math.nan}
    share = wilson(hits, trials)
    return {
        "errors": hits,
        "of": trials,
        "value": round(share.value, 4),
        "interval_95": [round(share.low, 4), round(share.high, 4)],
    }
