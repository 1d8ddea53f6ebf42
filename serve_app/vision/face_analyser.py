"""Everything that is done with a picture's pixels, in one call: decode, detect, align, judge, cut liveness crops."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from serve_app.domain import Box, DetectedFace, Detection, DetectOptions, ImageInfo, Pixels
from serve_app.settings import DetectorSettings, Limits
from serve_app.vision.align import align, face_scale
from serve_app.vision.catalogue import ModelEntry
from serve_app.vision.image import read_image
from serve_app.vision.liveness_ensemble import liveness_crop, liveness_spec
from serve_app.vision.onnx_session import InferenceSession
from serve_app.vision.quality import assess
from serve_app.vision.yunet import RawFaces, YuNet

FINEST = 0.5
"""Pixels of a crop for one of the picture, up to which a picture decoded at a reduced size serves: two for each, which
are averaged."""


class FaceAnalyser:
    """Faces of compressed pictures. Safe to call from several threads at once.

    Args:
        session: a prepared YuNet.
        settings: of the detector.
        limits: what a picture may be.
        liveness: the models that crops are cut for when a caller asks for liveness.
    """

    def __init__(
        self, session: InferenceSession, settings: DetectorSettings, limits: Limits, liveness: Sequence[ModelEntry] = ()
    ) -> None:
        self.detector = YuNet(session, settings)
        self._limits = limits
        self._liveness = [(entry.id, liveness_spec(entry), entry.input) for entry in liveness]

    def analyse(self, image: bytes, options: DetectOptions) -> Detection:
        """Faces of one picture, largest box first; none is no error.

        Raises:
            ImageError: too large, not a supported format, damaged, too small.
        """
        # The detector looks at twice its side at most, unless it is to find every face. Liveness models judge texture,
        # so they get the pixels as they were sent.
        whole = options.every or options.liveness
        info, pixels = read_image(image, self._limits, long_side=0 if whole else self.detector.coarse_side)
        raw = self.detector.detect(pixels, every=options.every)
        count = min(options.max_faces or len(raw), self._limits.max_faces_per_image)
        largest = np.argsort(-raw.boxes[:, 2] * raw.boxes[:, 3], kind="stable")[:count]
        if pixels.shape[1] < info.width:
            raw = _enlarged(raw, info.width / pixels.shape[1], info.height / pixels.shape[0])
            enlarged = [face_scale(raw.landmarks[index]) * info.width / pixels.shape[1] for index in largest]
            if max(enlarged, default=0.0) > FINEST:
                _, pixels = read_image(image, self._limits)  # crops of small faces are cut from all pixels
        return Detection(info, tuple(self._face(pixels, info, raw, index, options.liveness) for index in largest))

    def liveness_crops(self, image: bytes, boxes: Sequence[Box]) -> list[dict[str, Pixels]]:
        """The crops that liveness models need of faces that were found before: model id -> crop, one mapping per box.

        Raises:
            ImageError: as :meth:`analyse`.
        """
        _, pixels = read_image(image, self._limits)
        return [self._liveness_crops(pixels, box) for box in boxes]

    def _liveness_crops(self, pixels: Pixels, box: Box) -> dict[str, Pixels]:
        return {model: liveness_crop(pixels, box, spec, size) for model, spec, size in self._liveness}

    def _face(self, pixels: Pixels, info: ImageInfo, raw: RawFaces, index: int, liveness: bool) -> DetectedFace:
        box = Box(*(float(value) for value in raw.boxes[index]))
        score = float(raw.scores[index])
        shrunk = np.array([pixels.shape[1] / info.width, pixels.shape[0] / info.height], np.float32)
        placed = self.detector.placed(pixels, raw.boxes[index] * np.tile(shrunk, 2), raw.landmarks[index] * shrunk)
        landmarks = np.ascontiguousarray(placed / shrunk)
        crop = align(pixels, placed)
        return DetectedFace(
            box=box,
            landmarks=landmarks,
            detection_score=score,
            quality=assess(crop, box, landmarks, score, info.width, info.height),
            crop=crop,
            liveness_crops=self._liveness_crops(pixels, box) if liveness else {},
        )


def _enlarged(raw: RawFaces, x: float, y: float) -> RawFaces:
    """In pixels of a picture that is so many times as wide and high."""
    ratio = np.array([x, y], np.float32)
    return RawFaces(raw.boxes * np.tile(ratio, 2), raw.landmarks * ratio, raw.scores)
