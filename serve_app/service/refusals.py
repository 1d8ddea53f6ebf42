"""Checks on detected faces that refuse a request."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from serve_app.domain import DetectedFace, Detection, Liveness, QualityCode
from serve_app.errors import FaceNotLive, FaceRejected, NoFaceDetected, QualityTooLow, TooManyFaces
from serve_app.service.choices import EnrolmentChoice

RIVAL_AREA = 0.5
"""A second face counts as background only below this share of the largest face's area."""

LIVENESS_UNUSABLE = frozenset({QualityCode.FACE_TOO_SMALL, QualityCode.FACE_CROPPED})
"""Faults that make the liveness models guess: they need 80 pixels of face and its surroundings."""

NOTHING: frozenset[QualityCode] = frozenset()


def main_face(detection: Detection, choice: EnrolmentChoice, image: int | None = None) -> DetectedFace:
    """The one face of a picture that an operation is about.

    Args:
        choice: ``largest`` takes the largest; ``one`` does so only if no other face has half its area or more.
        image: the picture's position in the request, for the error's details.

    Raises:
        NoFaceDetected, TooManyFaces.
    """
    details: dict[str, Any] = {} if image is None else {"image": image}
    where = "the picture" if image is None else f"picture {image}"
    if not detection.faces:
        raise NoFaceDetected(f"No face was found on {where}.", **details)
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
