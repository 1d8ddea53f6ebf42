"""Operations on images: detect, check liveness, embed, compare, and verify an image against a person."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from serve_app.domain import CheckedFace, Comparison, DetectedFace, Detection, DetectOptions, Liveness, QualityCode
from serve_app.score import DEFAULT_MIN_SCORE, score_to_fmr
from serve_app.service.face_checks import (
    LIVENESS_UNUSABLE,
    NOTHING,
    EnrolmentChoice,
    FaceChoice,
    main_face,
    refuse_unfit,
)
from serve_app.service.operations import Embedded, Operations


class PictureOperations(Operations):
    """Operations on images that change nothing."""

    async def detect(
        self, image: bytes, *, liveness: bool = False, max_faces: int | None = None
    ) -> tuple[Detection, tuple[CheckedFace, ...]]:
        """All faces of an image, largest first, with liveness if asked for.

        Args:
            liveness: whether to check the faces' liveness.
            max_faces: keep only this number of largest faces; None keeps the service's maximum. With 1, small faces
                are not searched for.
        """
        most = min(max_faces or self.max_faces, self.max_faces)
        options = DetectOptions(max_faces=most, liveness=liveness, every=max_faces != 1)
        detection = await self.detector.detect(image, options)
        return detection, await self._checked(detection.faces, liveness)

    async def check_liveness(self, image: bytes, *, threshold: float | None = None) -> tuple[DetectedFace, Liveness]:
        """The main face of an image and its liveness.

        ``threshold`` is the probability from which it counts as live, 0 to 1; None takes the configured one.

        Raises:
            NoFaceDetected, TooManyFaces: the image does not have exactly one main face.
            FaceRejected: the face is too small or cut off, so that the models would guess.
            LivenessUnavailable: no liveness model is installed.
        """
        detection = await self.detector.detect(image, DetectOptions(liveness=True))
        face = main_face(detection, "one")
        refuse_unfit(face, LIVENESS_UNUSABLE)
        return face, (await self.liveness.score([face], threshold))[0]

    async def embed(self, image: bytes, *, faces: FaceChoice = "largest") -> tuple[Detection, Embedded]:
        """The faces of an image and their templates; row ``i`` belongs to face ``i``."""
        detection = await self.detector.detect(image, self._face_options(faces))
        return detection, await self._embed(detection.faces)

    async def compare(
        self,
        first: bytes,
        second: bytes,
        *,
        min_score: float | None = None,
        liveness: bool = False,
        faces: EnrolmentChoice = "largest",
        reject: Collection[QualityCode] = NOTHING,
    ) -> Comparison:
        """Compare the face of an image, the probe, with the largest face of another image.

        Args:
            min_score: score from which it is a match; None takes :data:`~serve_app.score.DEFAULT_MIN_SCORE`.
            liveness: check the probe's liveness; a face that is not live is no match.
            faces: ``one`` refuses a probe in which a second face is about as large; ``largest`` takes the largest.
            reject: refuse a probe whose face has one of these defects.

        Raises NoFaceDetected, TooManyFaces, FaceRejected, ImageError: ``details["image"]`` is the image, 0 or 1.
        """
        options = DetectOptions(max_faces=1 if faces == "largest" else None, liveness=liveness)
        detections = await asyncio.gather(
            self._one_detection(first, 0, options), self._one_detection(second, 1, DetectOptions(max_faces=1))
        )
        a, b = main_face(detections[0], faces, image=0), main_face(detections[1], "largest", image=1)
        refuse_unfit(a, reject, image=0)
        (checked, *_), (model, templates) = await asyncio.gather(self._checked([a], liveness), self._embed([a, b]))
        return self._comparison(model, float(templates[0] @ templates[1]), min_score, checked, second=b)

    async def verify(
        self, tenant: str, image: bytes, person_id: str, *, min_score: float | None = None, liveness: bool = False
    ) -> Comparison:
        """Compare the largest face of an image with all enrolled faces of one person; the best score counts.

        Args:
            min_score: as in :meth:`compare`.
            liveness: check the image's face; a face that is not live is no match.

        Raises NoFaceDetected, PersonNotFound; FaceIdNotFound if the person has no faces.
        """
        detection = await self.detector.detect(image, DetectOptions(max_faces=1, liveness=liveness))
        face = main_face(detection, "largest")
        (checked, *_), (model, probe) = await asyncio.gather(self._checked([face], liveness), self._embed([face]))
        nearest, cosine = await self.matcher.verify(tenant, person_id, probe, model)
        return self._comparison(model, cosine, min_score, checked, face_id=nearest.id)

    def _comparison(
        self,
        model: str,
        cosine: float,
        min_score: float | None,
        first: CheckedFace,
        second: DetectedFace | None = None,
        face_id: str | None = None,
    ) -> Comparison:
        score = self._score(model, cosine)
        needed = DEFAULT_MIN_SCORE if min_score is None else min_score
        live = first.liveness is None or first.liveness.is_live
        return Comparison(
            score=score,
            model=model,
            distance=1.0 - cosine,
            fmr=score_to_fmr(score),
            is_match=score >= needed and live,
            min_score=needed,
            first=first.face,
            second=second,
            liveness=first.liveness,
            face_id=face_id,
        )
