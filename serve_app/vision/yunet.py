"""YuNet, an anchor-free face detector with five landmarks: inference at several scales and in four directions.

Wu, Peng, Yu: "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence Research, 2023.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from serve_app.cancellation import check_wanted
from serve_app.domain import Pixels
from serve_app.errors import ConfigurationError
from serve_app.settings import DetectorSettings
from serve_app.vision.catalogue import InputSpec
from serve_app.vision.onnx_session import InferenceSession
from serve_app.vision.quarter_turns import boxes_in_picture, points_in_picture, upright_view
from serve_app.vision.tensors import resize, to_tensor

Array = NDArray[np.float32]

STRIDES = (8, 16, 32)
SMALLEST = 24
"""Smallest face width, in pixels of the image, that ``every`` searches for; smaller faces cannot be recognised."""

SURE = 20.0
"""Face width in pixels of the input from which on YuNet finds nearly every face (docs/accuracy.md)."""

SMALL = 32.0
"""Face width in pixels of the first pass's input below which a finer pass locates a face better."""

MAX_PIXELS = 3328 * 3328
"""Largest input of a pass in pixels, whatever its shape."""

LARGEST_RUN = 9_000_000
"""Most pixels of a run, which takes 40 bytes for each: enough for 12 megapixels. Larger inputs run in bands."""

MARGIN = 224
"""Pixels of the input beyond which nothing has an influence on a place of the outputs, so that a band with this margin
has the outputs of the whole."""

CERTAIN = 0.85
"""Score from which on a detection is accepted without a check: 95 % of small faces reach it, galaxies do not."""

MAX_DOUBTFUL = 100
"""Most doubtful faces (score below :data:`CERTAIN`) of an image that are checked, best first; the rest is dropped."""

Part = tuple[float, int]
"""A close-up: side of the cut-out as a multiple of the box's longer side, and its length in pixels of the input."""

ALONE: Part = (2.0, 128)
"""Close-up in which a doubtful small face is checked, and in which the four directions are compared."""

CLOSE_UPS: tuple[Part, ...] = ((2.0, 320), (1.6, 256))
"""Close-ups from which a face's landmarks are read again: the face is 160 pixels wide in them, the size at which
YuNet's landmarks are most accurate (docs/accuracy.md)."""

_HEADS = ("cls", "obj", "bbox", "kps")
_INPUT = InputSpec(width=640, height=640, channels="BGR")  # 0..255, normalised inside the graph
_MAX_LOG_SIZE = 10.0  # e^10 strides: larger than any image, and far below float32 overflow


@dataclass(frozen=True, slots=True, eq=False)
class RawFaces:
    """Detections in pixels of the image, best score first.

    Attributes:
        boxes: float32 (n, 4): x, y, width, height; a box can extend beyond the image.
        landmarks: float32 (n, 5, 2): right eye, left eye, nose, right and left mouth corner, of the person shown.
        scores: float32 (n,), 0 to 1.
    """

    boxes: Array
    landmarks: Array
    scores: Array

    def __len__(self) -> int:
        return len(self.scores)


class YuNet:
    """Face detector.

    Args:
        session: a prepared YuNet (any height and width that are multiples of 32).
        settings: input side in pixels, least score, IoU above which two boxes count as one face.

    Raises ConfigurationError if the graph lacks YuNet's outputs.
    """

    def __init__(self, session: InferenceSession, settings: DetectorSettings) -> None:
        needed = [f"{head}_{stride}" for head in _HEADS for stride in STRIDES]
        if missing := [name for name in needed if name not in session.output_names]:
            raise ConfigurationError(f"The detector's graph is not a YuNet: it has no outputs {', '.join(missing)}.")
        self._session = session
        self._side = settings.input_side
        self._min_score = settings.min_score
        self._nms_iou = settings.nms_iou

    @property
    def input_side(self) -> int:
        """Long side in pixels that the first pass scales an image to."""
        return self._side

    def detect(self, pixels: Pixels, *, every: bool = False, turned: int = 0) -> RawFaces:
        """The faces of an image of any size that are upright in one of its four directions.

        The first pass scales the long side to the input side. If it finds no large face, a pass at half that side
        follows, where faces that fill the image have a size that YuNet was trained for.

        Args:
            pixels: uint8 (height, width, 3) BGR.
            every: add a pass at a larger scale for faces that are too small in the first pass, down to
                :data:`SMALLEST` pixels in the image. The cost grows with the image, up to ten times.
            turned: look for faces that are turned clockwise by this: 0, 90, 180 or 270 degrees. Faces that are turned
                otherwise are found less often, with landmarks that are wrong.
        """
        height, width = pixels.shape[:2]
        small = SMALL * max(width, height) / self._side
        faces = self._believed(pixels, self._side, turned)
        if not np.any(_widths(faces) >= small):
            faces = _merged(faces, self._believed(pixels, self._side // 2, turned), small, self._nms_iou)
        closer = round(max(width, height) * min(SURE / SMALLEST, math.sqrt(MAX_PIXELS / (width * height))))
        if every and closer > self._side:
            # Large faces are taken from the first pass: at the larger scale, parts of large faces look like faces.
            found = self.look(pixels, closer, turned)
            narrow = _chosen(found, np.flatnonzero(_widths(found) < small))
            faces = _merged(self._confirmed(pixels, narrow, ALONE, turned), faces, small, self._nms_iou)
        return faces

    def look(self, pixels: Pixels, side: int, turned: int = 0) -> RawFaces:
        """All detections of one pass with the long side scaled to ``side`` pixels, doubtful ones included."""
        return self._detect_scaled(pixels, side / max(pixels.shape[:2]), turned)

    def close_up(self, pixels: Pixels, box: Array, part: Part, turned: int = 0) -> RawFaces:
        """The face of a box as it is detected in a close-up of it: one face or none.

        ``box`` is float32 (4,): x, y, width, height, in pixels of the image, as is the result. The close-up ends at the
        image's borders. Raises no error for a box outside of the image: nothing is detected there.
        """
        found = self._detect_around(pixels, box, part, turned)
        far = np.square(found.boxes[:, :2] + found.boxes[:, 2:] / 2 - (box[:2] + box[2:] / 2)).sum(axis=1)
        nearest = np.argsort(far)[:1]
        same = same_face(box, found.boxes[nearest], self._nms_iou)
        return _chosen(found, nearest if same else nearest[:0])

    def _believed(self, pixels: Pixels, side: int, turned: int) -> RawFaces:
        """The detections of one pass, without doubtful ones that a close-up does not confirm."""
        return self._confirmed(pixels, self.look(pixels, side, turned), CLOSE_UPS[-1], turned)

    def _confirmed(self, pixels: Pixels, faces: RawFaces, part: Part, turned: int) -> RawFaces:
        """The faces without those doubtful ones that are not detected again in a close-up."""
        doubtful = np.flatnonzero(faces.scores < CERTAIN)
        shown = [
            index
            for index in doubtful[:MAX_DOUBTFUL]
            if same_face(
                faces.boxes[index], self._detect_around(pixels, faces.boxes[index], part, turned).boxes, self._nms_iou
            )
        ]
        kept = np.union1d(np.flatnonzero(faces.scores >= CERTAIN), np.asarray(shown, np.intp))
        return _chosen(faces, kept)

    def _detect_around(self, pixels: Pixels, box: Array, part: Part, turned: int) -> RawFaces:
        """Detections in a square about a box, clipped to the image, in pixels of the image."""
        times, side = part
        length = times * max(float(box[2:].max()), 1.0)
        corner = box[:2] + box[2:] / 2 - length / 2
        left, top = (max(0, round(float(value))) for value in corner)
        right, bottom = (max(0, round(float(value) + length)) for value in corner)
        cut = pixels[top:bottom, left:right]
        if not cut.size:
            return RawFaces(np.empty((0, 4), np.float32), np.empty((0, 5, 2), np.float32), np.empty(0, np.float32))
        faces = self._detect_scaled(cut, side / length, turned)
        shift = np.array([left, top], np.float32)
        return RawFaces(faces.boxes + np.array([left, top, 0, 0], np.float32), faces.landmarks + shift, faces.scores)

    def _detect_scaled(self, pixels: Pixels, scale: float, turned: int) -> RawFaces:
        check_wanted()
        height, width = pixels.shape[:2]
        new_width, new_height = max(1, round(width * scale)), max(1, round(height * scale))
        view = _padded(upright_view(resize(pixels, new_width, new_height), turned))
        faces = self._decode(self._run(view), columns=view.shape[1])
        sizes = (width / new_width, height / new_height)
        ratio = np.array(sizes[::-1] if turned % 180 else sizes, np.float32)
        return RawFaces(
            boxes_in_picture(faces.boxes * np.tile(ratio, 2), turned, width, height),
            points_in_picture(faces.landmarks * ratio, turned, width, height),
            faces.scores,
        )

    def _run(self, view: Pixels) -> list[Array]:
        """The outputs for a padded view."""
        if view.shape[0] * view.shape[1] <= LARGEST_RUN:
            return self._session.run(to_tensor(view[None], _INPUT))
        axis = int(view.shape[1] > view.shape[0])
        inner = view.shape[axis] - 2 * MARGIN
        number = math.ceil(inner / (LARGEST_RUN // view.shape[1 - axis] - 2 * MARGIN))
        step = math.ceil(inner / number / STRIDES[-1]) * STRIDES[-1]
        bands = np.moveaxis(view, axis, 0)
        parts: list[list[Array]] = []
        for start in range(0, inner, step):
            check_wanted()
            begin = min(start, inner - step)  # all bands have the same size
            band = np.moveaxis(bands[begin : begin + step + 2 * MARGIN], 0, axis)
            first = start + MARGIN if start else 0
            end = start + step + MARGIN if start + step < inner else view.shape[axis]
            outputs = self._session.run(to_tensor(band[None], _INPUT))
            parts.append(
                [
                    _cells(output, band.shape, int(name.rpartition("_")[2]), axis, first - begin, end - begin)
                    for name, output in zip(self._session.output_names, outputs, strict=True)
                ]
            )
        joined = (np.concatenate(outputs, axis) for outputs in zip(*parts, strict=True))
        return [output.reshape(1, -1, output.shape[2]) for output in joined]

    def _decode(self, outputs: list[Array], columns: int) -> RawFaces:
        named = dict(zip(self._session.output_names, outputs, strict=True))
        # All strides are decoded in one array: they are small, and a call of numpy costs more than its arithmetic.
        cls, obj, bbox, kps = (np.concatenate([named[f"{head}_{stride}"][0] for stride in STRIDES]) for head in _HEADS)
        all_scores = np.sqrt(np.clip(cls[:, 0], 0, 1) * np.clip(obj[:, 0], 0, 1))
        found = np.flatnonzero(all_scores >= self._min_score)
        first = np.cumsum([0, *(len(named[f"{_HEADS[0]}_{stride}"][0]) for stride in STRIDES[:-1])])
        level = np.searchsorted(first, found, side="right") - 1
        strides = np.asarray(STRIDES)[level]
        cell_rows, cell_columns = np.divmod(found - first[level], columns // strides)
        cells = np.stack([cell_columns, cell_rows], axis=1).astype(np.float32)
        steps = strides.astype(np.float32)[:, None]
        centres = (cells + bbox[found, :2]) * steps
        sizes = np.exp(np.minimum(bbox[found, 2:], _MAX_LOG_SIZE)) * steps
        boxes = np.concatenate([centres - sizes / 2, sizes], axis=1)
        landmarks = (cells[:, None] + kps[found].reshape(-1, 5, 2)) * steps[:, None]
        scores = all_scores[found]
        kept = np.asarray(cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), 0.0, self._nms_iou), np.intp)
        return RawFaces(boxes[kept], landmarks[kept], scores[kept])


def _widths(faces: RawFaces) -> Array:
    """Widths of the faces; a face is higher than it is wide, so it is the shorter side in every direction."""
    return np.asarray(faces.boxes[:, 2:].min(axis=1), np.float32)


def _chosen(faces: RawFaces, positions: NDArray[np.intp]) -> RawFaces:
    return RawFaces(faces.boxes[positions], faces.landmarks[positions], faces.scores[positions])


def _merged(close: RawFaces, first: RawFaces, small: float, iou: float) -> RawFaces:
    """The faces of both passes, each face once: large ones from the first pass, small ones from the finer pass."""
    boxes, landmarks, scores = (
        np.concatenate(parts)
        for parts in ((first.boxes, close.boxes), (first.landmarks, close.landmarks), (first.scores, close.scores))
    )
    both = RawFaces(boxes, landmarks, scores)
    from_first = np.arange(len(both)) < len(first)
    precedence = np.where(from_first, np.where(_widths(both) < small, 2, 0), 1)
    kept: list[int] = []
    for position in np.lexsort((-scores, precedence)):
        if not kept or not same_face(boxes[position], boxes[kept], iou):
            kept.append(int(position))
    best_first = np.array(kept, np.intp)[np.argsort(-scores[kept], kind="stable")]
    return _chosen(both, best_first)


def same_face(box: Array, others: Array, iou: float) -> bool:
    """Whether a box is the same face as one of ``others``: IoU above ``iou``, or more than half of it inside one."""
    corner = np.maximum(box[:2], others[:, :2])
    common = np.clip(np.minimum(box[:2] + box[2:], others[:, :2] + others[:, 2:]) - corner, 0, None).prod(axis=1)
    area, areas = box[2:].prod(), others[:, 2:].prod(axis=1)
    return bool(np.any((common > iou * (area + areas - common)) | (common > 0.5 * area)))


def _cells(output: Array, shape: tuple[int, ...], stride: int, axis: int, begin: int, end: int) -> Array:
    """The part of an output for the rows (``axis`` 0) or columns from ``begin`` to ``end``: (rows, columns, values)."""
    cells = output.reshape(shape[0] // stride, shape[1] // stride, -1)
    part = slice(begin // stride, end // stride)
    return cells[part] if axis == 0 else cells[:, part]


def _padded(pixels: Pixels) -> Pixels:
    """Black right and bottom margins up to multiples of 32."""
    height, width = pixels.shape[:2]
    bottom, right = -height % 32, -width % 32
    if not (bottom or right):
        return pixels
    padded: Pixels = cv2.copyMakeBorder(
        np.ascontiguousarray(pixels), 0, bottom, 0, right, cv2.BORDER_CONSTANT, value=(0, 0, 0)
    )
    return padded
