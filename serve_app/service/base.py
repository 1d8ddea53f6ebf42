"""What all operations share: the stages, and the steps that more than one operation takes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Literal

from serve_app.domain import CheckedFace, DetectedFace, Detection, DetectOptions, Liveness, QualityCode
from serve_app.errors import FaceNotFound, FaceNotLive, FaceRejected, ImageError, QualityTooLow, TooManyFaces
from serve_app.score import Calibration
from serve_app.stages.protocols import Detector, Embedder, LivenessScorer, Matcher

FaceChoice = Literal["largest", "all"]
EnrolmentChoice = Literal["one", "largest"]
ProbeChoice = Literal["largest", "one", "all"]

RIVAL_AREA = 0.5
"""A second face counts as background only below this share of the largest face's area."""

LIVENESS_UNUSABLE = frozenset({QualityCode.FACE_TOO_SMALL, QualityCode.FACE_CROPPED})
"""What makes the liveness models guess: they need 80 pixels of face and its surroundings."""

NOTHING: frozenset[QualityCode] = frozenset()


class Operations:
    """Holds the stages.

    Args:
        detector, liveness, embedder, matcher: the stages, local or remote.
        model: id of the embedder in use.
        calibration: of that embedder.
        max_faces: faces of one picture that are worked on, largest first.
    """

    def __init__(
        self,
        detector: Detector,
        liveness: LivenessScorer,
        embedder: Embedder,
        matcher: Matcher,
        *,
        model: str,
        calibration: Calibration,
        max_faces: int = 100,
    ) -> None:
        self.detector = detector
        self.liveness = liveness
        self.embedder = embedder
        self.matcher = matcher
        self.model = model
        self.calibration = calibration
        self.max_faces = max_faces
        # (tenant, collections) -> liveness threshold that their policies demanded lately: a hint, not a rule.
        self._demanded_liveness: dict[tuple[str, tuple[str, ...] | None], float] = {}

    def _face_options(self, faces: ProbeChoice, liveness: bool = False) -> DetectOptions:
        limit = 1 if faces == "largest" else self.max_faces
        return DetectOptions(limit, liveness, every=faces == "all")

    async def _one_detection(self, image: bytes, index: int, options: DetectOptions) -> Detection:
        try:
            return await self.detector.detect(image, options)
        except ImageError as error:
            raise type(error)(f"Picture {index}: {error.message}", **{**error.details, "image": index}) from None

    async def _checked(
        self, faces: Sequence[DetectedFace], liveness: bool, threshold: float | None = None
    ) -> tuple[CheckedFace, ...]:
        if not liveness:
            return tuple(CheckedFace(face) for face in faces)
        results = await self.liveness.score(faces, threshold)
        return tuple(CheckedFace(face, result) for face, result in zip(faces, results, strict=True))


def main_face(detection: Detection, choice: EnrolmentChoice, image: int | None = None) -> DetectedFace:
    """The one face of a picture that an operation is about.

    Args:
        choice: ``largest`` takes the largest; ``one`` does so only if no other face has half its area or more.
        image: the picture's position in the request, for the error's details.

    Raises:
        FaceNotFound, TooManyFaces.
    """
    details: dict[str, Any] = {} if image is None else {"image": image}
    where = "the picture" if image is None else f"picture {image}"
    if not detection.faces:
        raise FaceNotFound(f"No face was found on {where}.", **details)
    largest, *others = detection.faces
    rivals = [face for face in others if face.box.area >= RIVAL_AREA * largest.box.area]
    if choice == "one" and rivals:
        count = 1 + len(rivals)
        raise TooManyFaces(
            f"One main face was expected on {where}, {count} are about equally large; crop it, or send faces=largest.",
            faces=count,
            **details,
        )
    return largest


def refuse_unfit(
    face: DetectedFace, reject: Collection[QualityCode], image: int | None = None, min_side: float = 0.0
) -> None:
    """Refuse a face whose quality has any of these codes, or that is narrower or lower than so many pixels.

    Raises:
        FaceRejected: with all of them in ``details["codes"]``.
    """
    too_small = {QualityCode.FACE_TOO_SMALL} if min(face.box.width, face.box.height) < min_side else set()
    unfit = sorted(face.quality.codes & frozenset(reject) | too_small)
    if unfit:
        details: dict[str, Any] = {} if image is None else {"image": image}
        raise FaceRejected(f"The face cannot be used: {', '.join(unfit)}.", codes=[str(c) for c in unfit], **details)


def refuse_poor(face: DetectedFace, reject_below: float, image: int) -> None:
    """Refuse a face whose quality is lower than that.

    Raises:
        QualityTooLow: with quality and needed in its details.
    """
    quality = face.quality.value
    if quality < reject_below:
        raise QualityTooLow(
            f"The face on picture {image} is not good enough: quality {quality:.2f}, needed {reject_below:.2f}.",
            codes=[],
            quality=quality,
            needed=reject_below,
            image=image,
        )


def refuse_not_live(liveness: Liveness | None, image: int | None = None) -> None:
    """Refuse a face that was checked and found not to be live.

    Raises:
        FaceNotLive: with probability and threshold in its details.
    """
    if liveness is not None and not liveness.is_live:
        details: dict[str, Any] = {} if image is None else {"image": image}
        where = "" if image is None else f" on picture {image}"
        raise FaceNotLive(
            f"The face{where} is not live: probability {liveness.probability:.2f}, needed {liveness.threshold:.2f}.",
            probability=liveness.probability,
            threshold=liveness.threshold,
            **details,
        )
