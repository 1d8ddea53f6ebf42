"""Base of all operations: the stages, and the steps that several operations share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeVar

from serve_app.contracts import Detector, Embedder, LivenessScorer, Matcher
from serve_app.domain import CheckedFace, DetectedFace, Detection, DetectOptions, EmbeddersInUse, Vectors
from serve_app.errors import ImageError, LivenessRequired, Overloaded, StoreUnavailable, Unavailable
from serve_app.score import Calibration
from serve_app.service.face_checks import EnrolmentChoice, ProbeChoice, main_face
from serve_app.service.new_faces import NewTemplates

Result = TypeVar("Result")

FacesOfImage = tuple[bytes, Sequence[CheckedFace]]
"""An image and the faces that were detected on it."""

IN_USE_S = 1.0
"""Seconds for which the matcher's answer about the embedders in use is cached."""


class Embedded(NamedTuple):
    """Templates, float32 (n, dimension), and the id of the model that made them."""

    model: str
    templates: Vectors


class Operations:
    """The stages, and steps over them.

    Args:
        detector, liveness, embedder, matcher: the stages, local or remote.
        calibrations: model id -> calibration, for all embedders that can come into use; the matcher says which one is.
        max_faces: most faces of one image that are processed, largest first.
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
        self.detector, self.liveness, self.embedder, self.matcher = detector, liveness, embedder, matcher
        self._calibrations = calibrations
        self.max_faces = max_faces
        self._in_use: EmbeddersInUse | None = None
        self._in_use_until = 0.0
        # (tenant, collections) -> liveness threshold that their policies demanded last: a hint, which can be outdated.
        self._demanded_liveness: dict[tuple[str, tuple[str, ...] | None], float] = {}

    def _face_options(self, faces: ProbeChoice, liveness: bool = False) -> DetectOptions:
        limit = 1 if faces == "largest" else self.max_faces
        return DetectOptions(limit, liveness, every=faces == "all")

    async def _embedders(self) -> EmbeddersInUse:
        """The embedders in use; can be slightly outdated, since the gallery still accepts the previous model."""
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
        """Templates of probes, by the active embedder."""
        model = (await self._embedders()).active
        return Embedded(model, await self.embedder.embed([face.crop for face in faces], model))

    async def _embed_new(self, faces: Sequence[DetectedFace]) -> list[NewTemplates]:
        """Templates of faces to be enrolled; while the default embedder changes, by the secondary embedder as well."""
        used = await self._embedders()
        crops = [face.crop for face in faces]
        first = await self.embedder.embed(crops, used.active)
        if used.further is None:
            return [NewTemplates(used.active, template) for template in first]
        second = await self.embedder.embed(crops, used.further)
        return [NewTemplates(used.active, a, {used.further: b}) for a, b in zip(first, second, strict=True)]

    def _score(self, model: str, cosine: float) -> float:
        return self._calibrations[model].score(cosine)

    async def _detect_each(
        self, images: Sequence[bytes], choice: EnrolmentChoice, liveness: bool = False
    ) -> list[DetectedFace]:
        """The main face of each image.

        Raises ImageError, NoFaceDetected, TooManyFaces: ``details["image"]`` is the position of the image.
        """
        options = DetectOptions(liveness=liveness)
        detections = await asyncio.gather(
            *(self._one_detection(image, index, options) for index, image in enumerate(images))
        )
        return [main_face(detection, choice, image=index) for index, detection in enumerate(detections)]

    async def _one_detection(self, image: bytes, index: int, options: DetectOptions) -> Detection:
        try:
            return await self.detector.detect(image, options)
        except ImageError as error:
            raise type(error)(f"Image {index}: {error.message}", **{**error.details, "image": index}) from None

    async def _checked(
        self, faces: Sequence[DetectedFace], liveness: bool, threshold: float | None = None
    ) -> tuple[CheckedFace, ...]:
        """The faces, with liveness if asked for; then they must have liveness crops."""
        if not liveness:
            return tuple(CheckedFace(face) for face in faces)
        results = await self.liveness.score(faces, threshold)
        return tuple(CheckedFace(face, result) for face, result in zip(faces, results, strict=True))

    async def _checked_by(self, found: Sequence[FacesOfImage], threshold: float | None) -> tuple[CheckedFace, ...]:
        """The faces with liveness by this threshold; without liveness if it is None. Known probabilities are kept."""
        if threshold is None:
            return tuple(CheckedFace(checked.face) for _, faces in found for checked in faces)
        lacking = [(image, [each.face for each in faces if each.liveness is None]) for image, faces in found]
        crops = await asyncio.gather(
            *(
                self.detector.liveness_crops(image, [(face.box, face.turned) for face in faces])
                for image, faces in lacking
                if faces
            )
        )
        faces = [face for _, faces in lacking for face in faces]
        with_crops = [
            replace(face, liveness_crops=of_face)
            for face, of_face in zip(faces, (each for some in crops for each in some), strict=True)
        ]
        scores = iter(await self.liveness.score(with_crops, threshold) if with_crops else ())
        return tuple(
            replace(
                each, liveness=next(scores) if each.liveness is None else replace(each.liveness, threshold=threshold)
            )
            for _, faces_of_image in found
            for each in faces_of_image
        )

    async def _meeting_demand(
        self, found: Sequence[FacesOfImage], attempt: Callable[[Sequence[CheckedFace], float | None], Awaitable[Result]]
    ) -> Result:
        """The result of ``attempt``. If a collection demands a liveness check, the faces are checked and it runs again.

        Args:
            found: the faces; empty if there is no image to check them on.
            attempt: called with the faces and the threshold that a collection demanded, at first None.

        Raises LivenessRequired if a check is demanded and there is no image. Also the errors of ``attempt``.
        """
        try:
            return await attempt([checked for _, faces in found for checked in faces], None)
        except LivenessRequired as required:
            if not found:
                raise
            threshold: float = required.details["threshold"]
        return await attempt(await self._checked_by(found, threshold), threshold)
