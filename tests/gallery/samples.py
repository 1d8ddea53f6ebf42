"""Synthetic templates: random unit vectors by seed, so that templates with different seeds do not match."""

from __future__ import annotations

import uuid
from typing import Any

import numpy as np

from serve_app.domain import Box, GalleryQuery, ImageStorage, NewFace, ThresholdRequest, Vectors
from serve_app.score import Calibration

MODEL = "sface-2021dec"
OTHER_MODEL = "other.model_1"
DIMENSION = 128

CALIBRATIONS = {
    MODEL: Calibration({1e-1: 0.3, 1e-3: 0.5, 1e-5: 0.7}),
    OTHER_MODEL: Calibration({1e-1: 0.2, 1e-3: 0.4}),
}


def template(seed: int, near: int | None = None, cosine: float = 0.9, dimension: int = DIMENSION) -> Vectors:
    """A unit vector, shape (dimension,); with ``near``, one that has this cosine to the vector of that seed."""
    vector = _unit(np.random.default_rng(seed).standard_normal(dimension))
    if near is not None:
        centre = _unit(np.random.default_rng(near).standard_normal(dimension))
        across = _unit(vector - (vector @ centre) * centre)
        vector = cosine * centre + np.sqrt(1 - cosine**2) * across
    return vector.astype(np.float32)


def face(seed: int | Vectors = 0, **changes: Any) -> NewFace:
    """A new face as the service passes it to the gallery."""
    values: dict[str, Any] = {
        "template": template(seed) if isinstance(seed, int) else seed,
        "model": MODEL,
        "image_id": uuid.uuid4().hex,
        "box": Box(1.0, 2.0, 30.0, 40.0),
        "quality": 0.9,
        "detection_score": 0.95,
        "storage": ImageStorage.THUMBNAIL,
        "thumbnail": b"thumbnail",
    }
    return NewFace(**(values | changes))


def query(*probes: int | Vectors, collections: tuple[str, ...] = ("staff",), **changes: Any) -> GalleryQuery:
    """A search with a fixed threshold of 0.6 (cosine 0.4)."""
    rows = [template(probe) if isinstance(probe, int) else probe for probe in probes]
    values: dict[str, Any] = {
        "probes": np.stack(rows) if rows else np.empty((0, 0), np.float32),
        "model": MODEL,
        "collections": collections,
        "max_results": 5,
        "threshold": ThresholdRequest(min_score=0.6),
    }
    return GalleryQuery(**(values | changes))


def _unit(vector: Any) -> Any:
    return vector / np.linalg.norm(vector)
