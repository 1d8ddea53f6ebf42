"""What all operations share: the stages, and the steps that more than one operation takes."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from serve_app.contracts import Detector, Embedder, LivenessScorer, Matcher
from serve_app.domain import (
    CheckedFace,
    DetectedFace,
    Detection,
    DetectOptions,
    EmbeddersInUse,
    Liveness,
    QualityCode,
    Vectors,
)
from serve_app.errors import (
    FaceNotLive,
    FaceRejected,
    ImageError,
    NoFaceDetected,
    Overloaded,
    QualityTooLow,
    StoreUnavailable,
    TooManyFaces,
    Unavailable,
)
from serve_app.score import Calibration

FaceChoice = Literal["largest", "all"]
EnrolmentChoice = Literal["one", "largest"]
ProbeChoice = Literal["largest", "one", "all"]

RIVAL_AREA = 0.5
"""A second face counts as background only below this share of the largest face's area."""

LIVENESS_UNUSABLE = frozenset({QualityCode.FACE_TOO_SMALL, QualityCode.FACE_CROPPED})
"""What makes the liveness models guess: they need 80 pixels of face and its surroundings."""

IN_USE_S = 1.0
"""How long an answer about the embedders in use is relied on."""

NOTHING: frozenset[QualityCode] = frozenset()


class Embedded(NamedTuple):
    """Templates (n, dimension) and the model that made them."""

    model: str
    templates: Vectors


class NewTemplates(NamedTuple):
    """The templates (dimension,) of a new face: by the active model, and by further ones."""

    model: str
    template: NDArray[np.float32]
    further: Mapping[str, NDArray[np.float32]]


class Operations:
    """Holds the stages.

    Args:
        detector, liveness, embedder, matcher: the stages, local or remote.
        calibrations: of the embedders that may come into use, by model id; the matcher says which one is.
        max_faces: faces of one picture that are worked on, largest first.
    """

    def __init__(
        self,
        detector: Detector,
        liveness: LivenessScorer,
        embedder: Embedder,
        matcher: Matcher,
        *,
        calibrations: Mapping[str, Calibration],
        max_faces: int = 100,
    ) -> None:
        self.detector = detector
        self.liveness = liveness
        self.embedder = embedder
        self.matcher = matcher
        self._calibrations = calibrations
        self.max_faces = max_faces
        self._in_use: EmbeddersInUse | None = None
        self._in_use_until = 0.0
        # (tenant, collections) -> liveness threshold that their policies demanded lately: a hint, not a rule.
        self._demanded_liveness: dict[tuple[str, tuple[str, ...] | None], float] = {}

    def _face_options(self, faces: ProbeChoice, liveness: bool = False) -> DetectOptions:
        limit = 1 if faces == "largest" else self.max_faces
        return DetectOptions(limit, liveness, every=faces == "all")

    async def _embedders(self) -> EmbeddersInUse:
        """What to embed with; what was true a moment ago will do, since the gallery keeps a former model up."""
        known = self._in_use
        if known is not None and time.monotonic() < self._in_use_until:
            return known
        self._in_use_until = time.monotonic() + IN_USE_S
        try:
            self._in_use = known = await self.matcher.embedders()
        except (StoreUnavailable, Unavailable, Overloaded):
            if known is None:
                raise
        return known

    async def _embed(self, faces: Sequence[DetectedFace]) -> Embedded:
        """Probes."""
        model = (await self._embedders()).active
        return Embedded(model, await self.embedder.embed([face.crop for face in faces], model))

    async def _embed_new(self, faces: Sequence[DetectedFace]) -> list[NewTemplates]:
        """Faces on their way into the gallery: by the further embedder too, while the default changes."""
        used = await self._embedders()
        crops = [face.crop for face in faces]
        first = await self.embedder.embed(crops, used.active)
        if used.further is None:
            return [NewTemplates(used.active, template, {}) for template in first]
        second = await self.embedder.embed(crops, used.further)
        return [NewTemplates(used.active, a, {used.further: b}) for a, b in zip(first, second, strict=True)]

    def _score(self, model: str, cosine: float) -> float:
        return self._calibrations[model].score(cosine)

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
