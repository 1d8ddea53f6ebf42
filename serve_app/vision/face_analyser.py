"""Image analysis in one call: decode, detect faces, align, assess quality, cut liveness crops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from serve_app.domain import Box, DetectedFace, Detection, DetectOptions, ImageInfo, Pixels, Quality
from serve_app.settings import DetectorSettings, Limits
from serve_app.vision.align import align, face_scale
from serve_app.vision.catalogue import ModelEntry
from serve_app.vision.face_finder import FaceFinder, FoundFace
from serve_app.vision.image import read_image
from serve_app.vision.liveness_ensemble import liveness_crop, liveness_spec
from serve_app.vision.onnx_session import InferenceSession
from serve_app.vision.quality import assess
from serve_app.vision.quarter_turns import upright_boxes, upright_points, upright_view
from serve_app.vision.turns import DECODED_BESIDE, SEARCHED_BESIDE, check_turn
from serve_app.vision.yunet import YuNet

LEAST_DECODED = 1280
"""Long side in pixels that a large JPEG is at least decoded at where only its largest faces count."""

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
        self.finder = FaceFinder(YuNet(session, settings), settings.nms_iou)
        self._least_decoded = max(LEAST_DECODED, 2 * settings.input_side)
        self._limits = limits
        self._liveness = [(entry.id, liveness_spec(entry), entry.input) for entry in liveness]

    def analyse(self, image: bytes, options: DetectOptions) -> Detection:
        """The faces of one image, largest box first. An image without a face is not an error.

        Raises ImageError: too large, not a supported format, damaged, too small.
        """
        # Where only large faces count, less is decoded. Liveness models judge texture, so they get the pixels as sent.
        full_size = options.every or options.liveness
        beside = SEARCHED_BESIDE if options.every else DECODED_BESIDE
        info, pixels = read_image(image, self._limits, long_side=0 if full_size else self._least_decoded, beside=beside)
        limit = self._limits.max_faces_per_image
        most = min(options.max_faces or limit, limit)
        found = None if options.every else self.finder.largest(pixels, options.max_faces)
        if found is None:
            check_turn(info.width * info.height, SEARCHED_BESIDE)
            if pixels.shape[1] < info.width:
                _, pixels = read_image(image, self._limits)
            found = self.finder.every(pixels, most)
        faces, count = found
        faces = faces[:most]
        if pixels.shape[1] < info.width:
            shrunk = info.width / pixels.shape[1], info.height / pixels.shape[0]
            faces = [face.enlarged(*shrunk) for face in faces]
            if any(face_scale(face.landmarks) * shrunk[0] > FINEST for face in faces):
                _, pixels = read_image(image, self._limits)  # crops of small faces are cut at full resolution
                faces = [self.finder.read_again(pixels, face) for face in faces]
        left_out = count - len(faces) if most == limit else 0
        return Detection(
            info, tuple(self._face(pixels, info, face, options.liveness) for face in faces), left_out=left_out
        )

    def liveness_crops(self, image: bytes, places: Sequence[tuple[Box, int]]) -> list[dict[str, Pixels]]:
        """Liveness crops of faces that were detected before on this file.

        ``places`` has for each face its box in the upright image, and by how many degrees it is turned. Returns one
        mapping per face: model id -> uint8 (height, width, 3) BGR. Raises ImageError as :meth:`analyse`.
        """
        _, pixels = read_image(image, self._limits)
        return [self._liveness_crops(pixels, box, turned) for box, turned in places]

    def _liveness_crops(self, pixels: Pixels, box: Box, turned: int) -> dict[str, Pixels]:
        view, upright = upright_view(pixels, turned), _upright_box(box, turned, pixels.shape[1], pixels.shape[0])
        return {model: liveness_crop(view, upright, spec, size) for model, spec, size in self._liveness}

    def _face(self, pixels: Pixels, info: ImageInfo, face: FoundFace, liveness: bool) -> DetectedFace:
        box = Box(*(float(value) for value in face.box))
        shrunk = np.array([pixels.shape[1] / info.width, pixels.shape[0] / info.height], np.float32)
        crop = align(pixels, face.landmarks * shrunk)
        return DetectedFace(
            box=box,
            landmarks=np.ascontiguousarray(face.landmarks),
            detection_score=face.score,
            quality=_quality(crop, box, face, info),
            crop=crop,
            turned=face.turned,
            liveness_crops=self._liveness_crops(pixels, box, face.turned) if liveness else {},
        )


def _quality(crop: Pixels, box: Box, face: FoundFace, info: ImageInfo) -> Quality:
    """The quality of the face in its upright view, since nothing is lost by turning a picture; roll is the image's."""
    size = (info.width, info.height)
    view_size = size[::-1] if face.turned % 180 else size
    landmarks = upright_points(face.landmarks, face.turned, *size)
    quality = assess(crop, _upright_box(box, face.turned, *size), landmarks, face.score, *view_size)
    return replace(quality, roll=(quality.roll + face.turned + 180) % 360 - 180) if face.turned else quality


def _upright_box(box: Box, turned: int, width: int, height: int) -> Box:
    values = np.array([box.x, box.y, box.width, box.height])
    return Box(*(float(value) for value in upright_boxes(values, turned, width, height))) if turned else box
