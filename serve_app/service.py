"""What facegraph does, independent of how it is asked: the one set of operations behind every API, handle and dialect.

Each operation orders the stages' work and returns domain values. Pictures are compressed bytes as received.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from serve_app.domain import (
    CheckedFace,
    CollectionPolicy,
    Comparison,
    DetectedFace,
    Detection,
    DetectOptions,
    Enrolment,
    GalleryQuery,
    ImageStorage,
    Liveness,
    NewFace,
    PersonFields,
    QualityCode,
    SearchedFace,
    SearchResult,
    ThresholdRequest,
    Vectors,
)
from serve_app.errors import (
    FaceNotFound,
    FaceNotLive,
    FaceRejected,
    ImageError,
    InvalidRequest,
    LivenessRequired,
    TooManyFaces,
)
from serve_app.score import DEFAULT_MIN_SCORE, Calibration, score_to_fmr
from serve_app.stages.protocols import Detector, Embedder, LivenessScorer, Matcher
from serve_app.vision.image import encode_jpeg

FaceChoice = Literal["largest", "all"]
EnrolmentChoice = Literal["one", "largest"]

RIVAL_AREA = 0.5
"""A second face counts as background only below this share of the largest face's area."""

LIVENESS_UNUSABLE = frozenset({QualityCode.FACE_TOO_SMALL, QualityCode.FACE_CROPPED})
"""What makes the liveness models guess (models.md: they need 80 pixels of face and its surroundings)."""

NO_PROBES: Vectors = np.empty((0, 0), np.float32)


class FaceService:
    """Operations over the four stages.

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
        # (tenant, collection) whose policy demanded liveness lately: a hint that saves the second attempt, not a rule.
        self._demand_liveness: set[tuple[str, str]] = set()

    # -- pictures

    async def detect(
        self, image: bytes, *, liveness: bool = False, max_faces: int | None = None
    ) -> tuple[Detection, tuple[CheckedFace, ...]]:
        """All faces of a picture, largest first, with liveness if asked for."""
        options = DetectOptions(max_faces=min(max_faces or self.max_faces, self.max_faces), liveness=liveness)
        detection = await self.detector.detect(image, options)
        return detection, await self._checked(detection.faces, liveness)

    async def check_liveness(self, image: bytes, *, threshold: float | None = None) -> tuple[DetectedFace, Liveness]:
        """Whether the one face of a picture is a live person's.

        Raises:
            FaceNotFound, TooManyFaces: there is not one main face.
            FaceRejected: the face is too small or cut off, which makes the models guess.
            LivenessUnavailable: no liveness model is installed.
        """
        detection = await self.detector.detect(image, DetectOptions(liveness=True))
        face = main_face(detection, "one")
        unusable = face.quality.codes & LIVENESS_UNUSABLE
        if unusable:
            names = sorted(unusable)
            raise FaceRejected(f"The face cannot be judged for liveness: {', '.join(names)}.", codes=names)
        return face, (await self.liveness.score([face], threshold))[0]

    async def embed(self, image: bytes, *, faces: FaceChoice = "largest") -> tuple[Detection, Vectors]:
        """The faces of a picture and their templates, row by row."""
        detection = await self.detector.detect(image, DetectOptions(max_faces=self._face_limit(faces)))
        return detection, await self.embedder.embed([face.crop for face in detection.faces])

    async def compare(
        self, first: bytes, second: bytes, *, min_score: float | None = None, liveness: bool = False
    ) -> Comparison:
        """The largest face of one picture against the largest of another; liveness is checked on the first.

        Raises:
            FaceNotFound: ``details["image"]`` says on which, 0 or 1.
        """
        detections = await asyncio.gather(
            self._one_detection(first, 0, DetectOptions(max_faces=1, liveness=liveness)),
            self._one_detection(second, 1, DetectOptions(max_faces=1)),
        )
        a, b = (main_face(detection, "largest", image=index) for index, detection in enumerate(detections))
        (checked, *_), templates = await asyncio.gather(
            self._checked([a], liveness), self.embedder.embed([a.crop, b.crop])
        )
        return self._comparison(float(templates[0] @ templates[1]), min_score, checked, second=b)

    async def verify(
        self,
        tenant: str,
        image: bytes,
        person_id: str,
        *,
        min_score: float | None = None,
        liveness: bool = False,
    ) -> Comparison:
        """The largest face of a picture against all enrolled faces of one person.

        Raises:
            FaceNotFound, PersonNotFound; FaceUnknown if the person has no faces.
        """
        detection = await self.detector.detect(image, DetectOptions(max_faces=1, liveness=liveness))
        face = main_face(detection, "largest")
        (checked, *_), probe = await asyncio.gather(self._checked([face], liveness), self.embedder.embed([face.crop]))
        nearest, cosine = await self.matcher.verify(tenant, person_id, probe, self.model)
        return self._comparison(cosine, min_score, checked, face_id=nearest.id)

    # -- searching

    async def search(
        self,
        tenant: str,
        image: bytes,
        collections: Sequence[str],
        *,
        max_results: int = 5,
        threshold: ThresholdRequest = ThresholdRequest(),
        faces: FaceChoice = "largest",
        liveness: bool = False,
    ) -> SearchResult:
        """Who is on a picture: the largest face, or each of them.

        A face that is found not to be live is reported without matches. Liveness is checked when asked for and when the
        policy of one of the collections demands it. A picture without faces gives a result without faces.

        Raises:
            CollectionNotFound, ImageError, LivenessUnavailable.
        """
        check_threshold(threshold)
        must_check = liveness or not self._demand_liveness.isdisjoint((tenant, name) for name in collections)
        query = GalleryQuery(
            probes=NO_PROBES,
            model=self.model,
            collections=tuple(collections),
            max_results=max_results,
            threshold=threshold,
        )
        try:
            return await self._search(tenant, image, query, faces, must_check)
        except LivenessRequired:
            # The gallery knows the policies; asking it before each search would cost every caller a hop.
            self._demand_liveness.update((tenant, name) for name in collections)
            return await self._search(tenant, image, query, faces, True)

    async def _search(
        self, tenant: str, image: bytes, query: GalleryQuery, faces: FaceChoice, liveness: bool
    ) -> SearchResult:
        clock = StepClock()
        options = DetectOptions(max_faces=self._face_limit(faces), liveness=liveness)
        detection = await self.detector.detect(image, options)
        clock.step("detect")
        checked, templates = await asyncio.gather(
            self._checked(detection.faces, liveness), self.embedder.embed([face.crop for face in detection.faces])
        )
        clock.step("embed")
        live = [i for i, face in enumerate(checked) if face.liveness is None or face.liveness.is_live]
        answer = await self.matcher.search(tenant, replace(query, probes=templates[live], liveness_checked=liveness))
        clock.step("match")
        matches = dict(zip(live, answer.matches, strict=True))
        return SearchResult(
            image=detection.image,
            faces=tuple(SearchedFace(c.face, c.liveness, matches.get(i, ())) for i, c in enumerate(checked)),
            model=self.model,
            threshold=answer.threshold,
            timings=clock.milliseconds(),
        )

    async def search_face(
        self,
        tenant: str,
        face_id: str,
        collections: Sequence[str],
        *,
        max_results: int = 5,
        threshold: ThresholdRequest = ThresholdRequest(),
    ) -> SearchResult:
        """Who looks like an enrolled face; the face itself, and its person, are among the answers.

        Raises:
            FaceUnknown, CollectionNotFound.
        """
        check_threshold(threshold)
        clock = StepClock()
        face, template = await self.matcher.template(tenant, face_id)
        query = GalleryQuery(
            probes=template,
            model=face.model,
            collections=tuple(collections),
            max_results=max_results,
            threshold=threshold,
            liveness_checked=True,  # what is enrolled has passed its collections' policies
        )
        answer = await self.matcher.search(tenant, query)
        clock.step("match")
        return SearchResult(
            image=None,
            faces=(SearchedFace(None, None, answer.matches[0]),),
            model=face.model,
            threshold=answer.threshold,
            timings=clock.milliseconds(),
        )

    # -- enrolment

    async def enroll(
        self,
        tenant: str,
        person_id: str,
        collection: str,
        images: Sequence[bytes] = (),
        fields: PersonFields = PersonFields(),
        *,
        mode: Literal["replace", "add"] = "replace",
        faces: EnrolmentChoice = "one",
        liveness: bool | None = None,
        image_storage: ImageStorage | None = None,
        must_be_new: bool = False,
    ) -> Enrolment:
        """Create or update a person from any number of pictures, all of them or none.

        Args:
            mode: whether the pictures replace the person's faces or add to them; without pictures the faces stay.
            faces: ``one`` refuses a picture where a second face is about as large; ``largest`` takes the largest.
            liveness: None follows the collection's policy; True checks anyway, by the policy's threshold.
            image_storage: what to keep of the pictures; None follows the collection's policy.

        Raises:
            CollectionNotFound; ImageError, FaceError with ``details["image"]``, the picture's position from 0.
        """
        policy = (await self.matcher.collection(tenant, collection)).policy
        checks_liveness = policy.liveness or bool(liveness)
        storage = image_storage or policy.image_storage
        try:
            new = await self._new_faces(images, faces, policy, checks_liveness, storage)
            return await self.matcher.put_person(tenant, person_id, (collection,), fields, new, mode, must_be_new)
        except LivenessRequired as required:  # by another collection of the same person
            policy = replace(policy, liveness=True, liveness_threshold=required.details["threshold"])
            new = await self._new_faces(images, faces, policy, True, storage)
            return await self.matcher.put_person(tenant, person_id, (collection,), fields, new, mode, must_be_new)

    async def _new_faces(
        self,
        images: Sequence[bytes],
        choice: EnrolmentChoice,
        policy: CollectionPolicy,
        liveness: bool,
        storage: ImageStorage,
    ) -> list[NewFace]:
        options = DetectOptions(liveness=liveness)
        detections = await asyncio.gather(
            *(self._one_detection(image, index, options) for index, image in enumerate(images))
        )
        found = [main_face(detection, choice, image=index) for index, detection in enumerate(detections)]
        checked, templates = await asyncio.gather(
            self._checked(found, liveness, policy.liveness_threshold),
            self.embedder.embed([face.crop for face in found]),
        )
        for index, face in enumerate(checked):
            if face.liveness is not None and not face.liveness.is_live:
                raise FaceNotLive(
                    f"The face on picture {index} is not live: probability {face.liveness.probability:.2f}, "
                    f"needed {face.liveness.threshold:.2f}.",
                    image=index,
                    probability=face.liveness.probability,
                    threshold=face.liveness.threshold,
                )
        return [
            NewFace(
                template=template,
                model=self.model,
                image_id=uuid.uuid4().hex,
                box=face.face.box,
                quality=face.face.quality.value,
                detection_score=face.face.detection_score,
                storage=storage,
                thumbnail=None if storage is ImageStorage.NONE else encode_jpeg(face.face.crop),
                photograph=image if storage is ImageStorage.FULL else None,
                liveness=face.liveness.probability if face.liveness else None,
            )
            for image, face, template in zip(images, checked, templates, strict=True)
        ]

    # -- health

    async def ready(self) -> Mapping[str, Mapping[str, Any]]:
        """What each stage says of itself.

        Raises:
            Unavailable: a stage cannot serve; the message names it.
        """
        stages = {
            "detector": self.detector,
            "liveness": self.liveness,
            "embedder": self.embedder,
            "matcher": self.matcher,
        }
        facts = await asyncio.gather(*(stage.ready() for stage in stages.values()))
        return dict(zip(stages, facts, strict=True))

    # -- steps shared by the operations

    def _face_limit(self, faces: FaceChoice) -> int:
        return 1 if faces == "largest" else self.max_faces

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

    def _comparison(
        self,
        cosine: float,
        min_score: float | None,
        first: CheckedFace,
        second: DetectedFace | None = None,
        face_id: str | None = None,
    ) -> Comparison:
        score = self.calibration.score(cosine)
        needed = DEFAULT_MIN_SCORE if min_score is None else min_score
        live = first.liveness is None or first.liveness.is_live
        return Comparison(
            score=score,
            distance=1.0 - cosine,
            fmr=score_to_fmr(score),
            is_match=score >= needed and live,
            min_score=needed,
            first=first.face,
            second=second,
            liveness=first.liveness,
            face_id=face_id,
        )


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


def check_threshold(threshold: ThresholdRequest) -> None:
    """Raise InvalidRequest unless the request is one that a search can follow."""
    if threshold.min_score is not None and threshold.fpir is not None:
        raise InvalidRequest("min_score and fpir exclude each other; send one of them.")
    if threshold.min_score is not None and not 0.0 <= threshold.min_score <= 1.0:
        raise InvalidRequest(f"min_score must be between 0 and 1, got {threshold.min_score}.")
    if threshold.fpir is not None and not 0.0 < threshold.fpir < 1.0:
        raise InvalidRequest(f"fpir must be over 0 and below 1, got {threshold.fpir}.")


class StepClock:
    """Milliseconds from step to step."""

    def __init__(self) -> None:
        self._start = self._last = time.perf_counter()
        self._steps: dict[str, float] = {}

    def step(self, name: str) -> None:
        """What ran since the last step is called ``name``."""
        now = time.perf_counter()
        self._steps[name] = (now - self._last) * 1e3
        self._last = now

    def milliseconds(self) -> dict[str, float]:
        """Each step's time and ``total``, rounded to microseconds."""
        steps = {**self._steps, "total": (self._last - self._start) * 1e3}
        return {name: round(value, 3) for name, value in steps.items()}
