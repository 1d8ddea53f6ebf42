"""Construction of faces to be enrolled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from serve_app.domain import Appearance, CheckedFace, ImageStorage, NewFace
from serve_app.vision.image import encode_jpeg


class NewTemplates(NamedTuple):
    """The templates of a new face, float32 (dimension,): by the active model, and secondary ones (model id -> ...)."""

    model: str
    template: NDArray[np.float32]
    further: Mapping[str, NDArray[np.float32]] = {}


def new_face(
    checked: CheckedFace,
    templates: NewTemplates,
    image_id: str,
    storage: ImageStorage,
    image: bytes | None = None,
    appearance: bool = True,
) -> NewFace:
    """The face to enrol for a detection.

    Args:
        checked: the detected face and its liveness.
        image_id: 32 hex digits, the same for all faces of an image.
        storage: which images to keep.
        image: the image as sent, needed for storage ``full``.
        appearance: whether landmarks, sharpness and rotation are known; False for faces that came as crops.
    """
    face, liveness = checked.face, checked.liveness
    return NewFace(
        template=templates.template,
        model=templates.model,
        further=templates.further,
        image_id=image_id,
        box=face.box,
        quality=face.quality.value,
        detection_score=face.detection_score,
        storage=storage,
        thumbnail=None if storage is ImageStorage.NONE else encode_jpeg(face.crop),
        photograph=image if storage is ImageStorage.FULL else None,
        liveness=liveness.probability if liveness is not None else None,
        appearance=Appearance.of(face) if appearance else None,
    )
