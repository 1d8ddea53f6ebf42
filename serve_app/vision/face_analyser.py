"""Image analysis in one call: decode, detect faces, align, assess quality, cut liveness crops."""

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
"""Largest scale (crop pixels per image pixel) at which crops are cut from an image decoded at a reduced size. Up to it,
each crop pixel averages at least two image pixels per axis."""


class FaceAnalyser:
    """Finds and describes the faces of compressed images. Thread-safe.

    Args:
        session: a prepared YuNet.
        settings: the detector's settings.
        limits: size limits of images.
        liveness: liveness models for which crops are cut when a caller asks for liveness.
    """

    def __init__(
        self, session: InferenceSession, settings: DetectorSettings, limits: Limits, liveness: Sequence[ModelEntry] = ()
    ) -> None:
        self.detector = YuNet(session, settings)
        self._limits = limits
        self._liveness = [(entry.id, liveness_spec(entry), entry.input) for entry in liveness]

    def analyse(self, image: bytes, options: DetectOptions) -> Detection:
        """The faces of one image, largest box first. An image without a face is not an error.

        Raises ImageError: too large, not a supported format, damaged, too small.
        """
        # Unless it must find every face, the detector reads the image at `coarse_side` at most. Liveness models judge
        # texture, so they get the pixels as they were sent.
        full_size = options.every or options.liveness
        info, pixels = read_image(image, self._limits, long_side=0 if full_size else self.detector.coarse_side)
        raw = self.detector.detect(pixels, every=options.every)
        count = min(options.max_faces or len(raw), self._limits.max_faces_per_image)
        largest = np.argsort(-raw.boxes[:, 2] * raw.boxes[:, 3], kind="stable")[:count]
        if pixels.shape[1] < info.width:
            raw = _enlarged(raw, info.width / pixels.shape[1], info.height / pixels.shape[0])
            scales = [face_scale(raw.landmarks[index]) * info.width / pixels.shape[1] for index in largest]
            if max(scales, default=0.0) > FINEST:
                _, pixels = read_image(image, self._limits)  # crops of small faces are cut at full resolution
        return Detection(info, tuple(self._face(pixels, info, raw, index, options.liveness) for index in largest))

    def liveness_crops(self, image: bytes, boxes: Sequence[Box]) -> list[dict[str, Pixels]]:
        """Liveness crops of faces that were detected before on this file, by their boxes in the upright image.

        Returns one mapping per box: model id -> uint8 (height, width, 3) BGR. Raises ImageError as :meth:`analyse`.
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
    """The same faces in pixels of an image that is ``x`` times as wide and ``y`` times as high."""
    ratio = np.array([x, y], np.float32)
    return RawFaces(raw.boxes * np.tile(ratio, 2), raw.landmarks * ratio, raw.scores)
