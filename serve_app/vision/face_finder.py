"""The detection policy, one for all operations: which passes of the detector a picture gets, and which way faces lie.

YuNet finds most faces that lie on their side or stand on their head, but with the landmarks of an upright face, so that
their templates resemble each other instead of the person's. Its scores tell: read again in close-ups, an upright face
scores higher than a turned one does in any direction but its own (docs/accuracy.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from serve_app.domain import Pixels
from serve_app.vision.yunet import ALONE, CERTAIN, CLOSE_UPS, SMALL, SURE, YuNet, same_face

Array = NDArray[np.float32]

OTHER_DIRECTIONS = (90, 270, 180)
"""In the order in which a picture is looked at if nobody is found upright: cameras are mostly held on their side."""

CLEAR = 0.92
"""Clarity from which a face is read in its own direction. 99 % of LFW's upright faces reach it, and none in another
direction (0.912 at most). Below it, the four directions are compared."""

CLEAR_ALONE = 0.905
"""The same for the score in the close-up :data:`~serve_app.vision.yunet.ALONE`: 99 % reach it, at most 0.901."""

BENEFIT = 0.015
"""How much clearer a face must be in another direction than upright before it counts as turned. LFW's faces are clearer
by 0.029 at least in their own direction; profiles by less."""


@dataclass(frozen=True, slots=True, eq=False)
class FoundFace:
    """A face in pixels of the picture.

    Attributes:
        box: float32 (4,): x, y, width, height.
        detected: float32 (5, 2): the landmarks of the detection.
        landmarks: float32 (5, 2): the mean of those and of the ones read in close-ups.
        score: detection score, 0 to 1.
        turned: degrees clockwise by which the face is turned: 0, 90, 180 or 270.
        clarity: mean of the scores of the detection and of the close-ups, 0 for those that do not show the face.
    """

    box: Array
    detected: Array
    landmarks: Array
    score: float
    turned: int
    clarity: float

    @property
    def area(self) -> float:
        """Area of the box in square pixels."""
        return float(self.box[2] * self.box[3])

    def enlarged(self, x: float, y: float) -> FoundFace:
        """The same face in pixels of a picture that is ``x`` times as wide and ``y`` times as high."""
        ratio = np.array([x, y], np.float32)
        points = {name: getattr(self, name) * ratio for name in ("detected", "landmarks")}
        return replace(self, box=self.box * np.tile(ratio, 2), **points)


class FaceFinder:
    """Finds the faces of decoded pictures, in any direction."""

    def __init__(self, detector: YuNet, nms_iou: float) -> None:
        self.detector = detector
        self._nms_iou = nms_iou

    def largest(self, pixels: Pixels, most: int | None) -> tuple[list[FoundFace], int] | None:
        """As :meth:`every`, in a fraction of the time; None if only :meth:`every` can tell what the picture shows.

        Its answer is that of :meth:`every` for the faces that can be the main face, of which there must be one: the
        first pass finds those of :data:`~serve_app.vision.yunet.SURE` pixels. Unless ``most`` is 1, also faces of half
        the main one's area count, so that that one must be larger.
        """
        least = (SURE if most == 1 else SMALL) * max(pixels.shape[:2]) / self.detector.input_side
        faces = self._look(pixels, 0, every=False)
        if not any(min(face.box[2:]) >= least for face in faces):
            return None
        return self._settled(pixels, faces, most, every=False)

    def every(self, pixels: Pixels, most: int | None = None) -> tuple[list[FoundFace], int]:
        """The faces of a picture, largest first, and their number.

        Args:
            pixels: uint8 (height, width, 3) BGR.
            most: return this number of largest faces; None returns all.
        """
        return self._settled(pixels, self._look(pixels, 0, every=True), most, every=True)

    def read_again(self, pixels: Pixels, face: FoundFace) -> FoundFace:
        """The face with landmarks and clarity from close-ups.

        The errors of the readings are partly independent, and a close-up shows every face at the size that suits YuNet.
        A close-up in which the face is not detected adds no landmarks.
        """
        landmarks, scores = [face.detected], [face.score]
        for part in CLOSE_UPS:
            seen = self.detector.close_up(pixels, face.box, part, face.turned)
            landmarks += [*seen.landmarks]
            scores.append(float(seen.scores.sum()))
        placed = np.asarray(np.mean(landmarks, axis=0), np.float32)
        return replace(face, landmarks=placed, clarity=sum(scores) / len(scores))

    def _look(self, pixels: Pixels, turned: int, *, every: bool) -> list[FoundFace]:
        found = self.detector.detect(pixels, every=every, turned=turned)
        return [
            FoundFace(box, landmarks, landmarks, float(score), turned, 0.0)
            for box, landmarks, score in zip(found.boxes, found.landmarks, found.scores, strict=True)
        ]

    def _settled(
        self, pixels: Pixels, faces: list[FoundFace], most: int | None, *, every: bool
    ) -> tuple[list[FoundFace], int]:
        """The faces that were found upright, each in its own direction, and all others of those directions."""
        looked = [0]
        while True:
            chosen = self._read(pixels, sorted(faces, key=lambda face: -face.area)[:most])
            further = {self._direction(pixels, face) for face in chosen if face.clarity < CLEAR} - {*looked}
            if not further and (not chosen or chosen[0].clarity < CERTAIN):
                # Nobody, or perhaps a part of a turned face that was itself not found.
                further = {*[turned for turned in OTHER_DIRECTIONS if turned not in looked][:1]}
            if not further:
                return chosen, len(faces)
            for turned in sorted(further):
                looked.append(turned)
                faces = faces + self._look(pixels, turned, every=every)
            faces = self._distinct(self._read(pixels, faces))

    def _read(self, pixels: Pixels, faces: Sequence[FoundFace]) -> list[FoundFace]:
        """The faces with landmarks and clarity from close-ups, which are made once for each."""
        return [face if face.clarity else self.read_again(pixels, face) for face in faces]

    def _direction(self, pixels: Pixels, face: FoundFace) -> int:
        """The direction in which a close-up of the face has the highest score, if that is certain; else its own."""

        def score(turned: int) -> float:
            return float(self.detector.close_up(pixels, face.box, ALONE, turned).scores.sum())

        own = score(face.turned)
        if own >= CLEAR_ALONE:
            return face.turned
        scores = {face.turned: own}  # the first one wins a tie
        scores |= {turned: score(turned) for turned in (0, *OTHER_DIRECTIONS) if turned != face.turned}
        best = max(scores, key=lambda turned: scores[turned])
        return best if scores[best] >= CERTAIN else face.turned

    def _distinct(self, faces: Sequence[FoundFace]) -> list[FoundFace]:
        """Each face once, as it is clearest, in the directions of clear faces; without one, upright ones only."""
        kept: list[FoundFace] = []
        for face in sorted(faces, key=lambda face: -face.clarity - (0 if face.turned else BENEFIT)):
            if not any(self._same(face, other) for other in kept):
                kept.append(face)
        directions = {face.turned for face in kept if face.clarity >= CERTAIN}
        # In four directions, four times as many things look like faces, but hardly any of them clearly.
        return [face for face in kept if face.turned in directions] or [face for face in faces if not face.turned]

    def _same(self, face: FoundFace, other: FoundFace) -> bool:
        pairs = ((face, other), (other, face))
        return any(same_face(a.box, b.box[None], self._nms_iou) for a, b in pairs)
