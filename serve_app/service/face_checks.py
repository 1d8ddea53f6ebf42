"""Choice of the faces that an operation uses, and checks on them that refuse a request."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal

from serve_app.domain import DetectedFace, Detection, Liveness, QualityCode
from serve_app.errors import FaceNotLive, FaceRejected, NoFaceDetected, QualityTooLow, TooManyFaces

FaceChoice = Literal["largest", "all"]
EnrolmentChoice = Literal["one", "largest"]
ProbeChoice = Literal["largest", "one", "all"]
"""``one`` refuses an image in which a second face is about as large as the largest one."""

RIVAL_AREA = 0.5
"""Share of the largest face's area below which a second face counts as background."""

LIVENESS_UNUSABLE = frozenset({QualityCode.FACE_TOO_SMALL, QualityCode.FACE_CROPPED})
"""Defects with which the liveness models guess: they need a face of 80 pixels and its surroundings."""

NOTHING: frozenset[QualityCode] = frozenset()


def main_face(detection: Detection, choice: EnrolmentChoice, image: int | None = None) -> DetectedFace:
    """The main face of an image.

    Args:
        detection: the faces of the image.
        choice: ``largest`` takes the largest; ``one`` does so only if no other face has half its area or more.
        image: the image's position in the request, for the error's details.

    Raises NoFaceDetected, TooManyFaces.
    """
    where = "the image" if image is None else f"image {image}"
    if not detection.faces:
        raise NoFaceDetected(f"No face was found in {where}.", **_position(image))
    largest, *others = detection.faces
    rivals = [face for face in others if face.box.area >= RIVAL_AREA * largest.box.area]
    if choice == "one" and rivals:
        count = 1 + len(rivals)
        raise TooManyFaces(
            f"Expected one main face in {where}, got {count} of similar size: crop the image, or send faces=largest.",
            faces=count,
            **_position(image),
        )
    return largest


def refuse_unfit(
    face: DetectedFace, reject: Collection[QualityCode], image: int | None = None, min_side: float = 0.0
) -> None:
    """Refuse a face that has any of the defects ``reject``, or that is narrower or lower than ``min_side`` pixels.

    Raises FaceRejected with all defects found in ``details["codes"]``.
    """
    too_small = {QualityCode.FACE_TOO_SMALL} if min(face.box.width, face.box.height) < min_side else set()
    unfit = sorted(face.quality.codes & frozenset(reject) | too_small)
    if unfit:
        codes = [str(code) for code in unfit]
        raise FaceRejected(f"The face cannot be used: {', '.join(unfit)}.", codes=codes, **_position(image))


def refuse_poor(face: DetectedFace, reject_below: float, image: int) -> None:
    """Refuse a face of quality below ``reject_below``. Raises QualityTooLow with quality and needed in its details."""
    quality = face.quality.value
    if quality < reject_below:
        text = f"The face in image {image} is not good enough: quality {quality:.2f}, needed {reject_below:.2f}."
        raise QualityTooLow(text, codes=[], quality=quality, needed=reject_below, image=image)


def refuse_not_live(liveness: Liveness | None, image: int | None = None) -> None:
    """Refuse a face whose liveness check failed. Raises FaceNotLive with probability and threshold in its details."""
    if liveness is not None and not liveness.is_live:
        where = "" if image is None else f" in image {image}"
        probability, threshold = liveness.probability, liveness.threshold
        text = f"The face{where} is not live: probability {probability:.2f}, needed {threshold:.2f}."
        raise FaceNotLive(text, probability=probability, threshold=threshold, **_position(image))


def _position(image: int | None) -> dict[str, Any]:
    return {} if image is None else {"image": image}
