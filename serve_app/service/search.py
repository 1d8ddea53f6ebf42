"""Search operations: by image, by enrolled face, and for duplicates."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from serve_app.domain import (
    CheckedFace,
    GalleryAnswer,
    GalleryQuery,
    QualityCode,
    SearchedFace,
    SearchResult,
    Task,
    ThresholdRequest,
    Vectors,
)
from serve_app.errors import InvalidRequest, LivenessRequired
from serve_app.score import check_threshold
from serve_app.service.face_checks import NOTHING, ProbeChoice, main_face, refuse_unfit
from serve_app.service.unknown_capture import UnknownCaptureOperations

NO_PROBES: Vectors = np.empty((0, 0), np.float32)


class SearchOperations(UnknownCaptureOperations):
    """Searches for one or several faces in one or several collections."""

    async def search(
        self,
        tenant: str,
        image: bytes,
        collections: Sequence[str] | None,
        *,
        max_results: int = 5,
        threshold: ThresholdRequest = ThresholdRequest(),
        faces: ProbeChoice = "largest",
        liveness: bool = False,
        reject: Collection[QualityCode] = NOTHING,
        min_face_side: float = 0.0,
        persons_only: bool = False,
        trace: bool = True,
        keep_unknown: str | None = None,
    ) -> SearchResult:
        """Search for the faces of an image: the largest one, the only main face, or all.

        A face that is not live is reported without matches. Liveness is checked if asked for, and if the policy of one
        of the collections demands it. An image without faces gives a result without faces.

        Args:
            collections: names; None searches all persons, also those in no collection.
            max_results: most matches per face.
            faces: which faces to search for; ``one`` refuses an image without a face, and one in which a second face is
                about as large.
            liveness: check liveness in any case.
            reject: refuse an image with a face that has one of these defects.
            min_face_side: refuse an image with a face that is narrower or lower, in pixels.
            persons_only: leave out unassigned faces.
            trace: whether the audit log records the search; the settings can forbid False.
            keep_unknown: keep faces without matches in this collection, to be named later. Faces that are not live, or
                not good enough to be enrolled, are not kept.

        Raises:
            CollectionNotFound, ImageError, LivenessUnavailable.
            NoFaceDetected, TooManyFaces: the image does not fit ``faces``.
            FaceRejected: by ``reject`` or ``min_face_side``.
            InvalidRequest: the settings forbid searches without a trace, or the arguments contradict each other.
            UnknownsNotKept: the policy of ``keep_unknown`` forbids it.
        """
        check_threshold(threshold)
        if keep_unknown is not None and not trace:
            raise InvalidRequest("A search that leaves no trace cannot keep unknown faces.")
        policy = None if keep_unknown is None else await self._keeping_policy(tenant, collections, keep_unknown)
        query = GalleryQuery(
            probes=NO_PROBES,
            model="",  # set once there are probes
            collections=None if collections is None else tuple(collections),
            max_results=max_results,
            threshold=threshold,
            persons_only=persons_only,
            trace=trace,
        )

        live_from = self._demanded_liveness.get((tenant, query.collections))
        check_liveness = liveness or live_from is not None
        clock = StepClock()
        detection = await self.detector.detect(image, self._face_options(faces, check_liveness))
        found = (main_face(detection, "one"),) if faces == "one" else detection.faces
        for face in found:
            refuse_unfit(face, reject, min_side=min_face_side)
        clock.step("detect")
        checked, (model, templates) = await asyncio.gather(
            self._checked(found, check_liveness, live_from), self._embed(found)
        )
        clock.step("embed")
        query = replace(query, model=model)
        answer, demanded = await self._match(tenant, query, checked, templates)
        if answer is None or not (liveness or demanded == live_from):
            self._demanded_liveness.pop((tenant, query.collections), None)
            if demanded is not None:
                self._demanded_liveness[tenant, query.collections] = demanded
            checked = await self._checked_by([(image, checked)], demanded)
            answer = await self.matcher.search(tenant, _with_probes(query, checked, templates))
        clock.step("match")
        matches = iter(answer.matches)
        result = SearchResult(
            image=detection.image,
            faces=tuple(SearchedFace(c.face, c.liveness, next(matches) if _may_match(c) else ()) for c in checked),
            model=model,
            threshold=answer.threshold,
            timings=clock.milliseconds(),
            left_out=detection.left_out,
        )
        if keep_unknown is None or policy is None:
            return result
        return await self._kept(tenant, keep_unknown, policy, result, templates)

    async def _match(
        self, tenant: str, query: GalleryQuery, checked: Sequence[CheckedFace], templates: Vectors
    ) -> tuple[GalleryAnswer | None, float | None]:
        """The gallery's answer (None if a liveness check is missing), and the threshold that the collections demand.

        Only the gallery knows the policies, and asking for them would cost every search a call. So liveness is checked
        in advance if these collections demanded it last time, and the gallery reports if that is wrong.
        """
        try:
            answer = await self.matcher.search(tenant, _with_probes(query, checked, templates))
        except LivenessRequired as required:
            return None, required.details["threshold"]
        return answer, answer.liveness_threshold

    async def search_face(
        self,
        tenant: str,
        face_id: str,
        collections: Sequence[str],
        *,
        max_results: int = 5,
        threshold: ThresholdRequest = ThresholdRequest(),
        trace: bool = True,
    ) -> SearchResult:
        """Search with an enrolled face as the probe; the face itself, or its person, is among the matches.

        The audit log records the search only with ``trace``. Raises FaceIdNotFound, CollectionNotFound.
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
            trace=trace,
            # An enrolled face has passed its collections' policies; a face in no collection has passed none.
            liveness_threshold=1.0 if face.expires is None else face.liveness,
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

    async def find_duplicates(
        self, tenant: str, collection: str, threshold: ThresholdRequest = ThresholdRequest()
    ) -> Task:
        """Start a background task that compares all faces of a collection with templates of the active model.

        Raises CollectionNotFound; TaskRunning if the same search is running already.
        """
        check_threshold(threshold)
        return await self.matcher.find_duplicates(tenant, collection, (await self._embedders()).active, threshold)


def _with_probes(query: GalleryQuery, checked: Sequence[CheckedFace], templates: Vectors) -> GalleryQuery:
    live = [index for index, face in enumerate(checked) if _may_match(face)]
    reached = [face.liveness.threshold if face.liveness else None for face in checked]
    return replace(query, probes=templates[live], liveness_threshold=reached[0] if reached else 1.0)


def _may_match(face: CheckedFace) -> bool:
    """False for a face that is not live, which is reported without matches."""
    return face.liveness is None or face.liveness.is_live


class StepClock:
    """Stopwatch for the consecutive steps of an operation."""

    def __init__(self) -> None:
        self._start = self._last = time.perf_counter()
        self._steps: dict[str, float] = {}

    def step(self, name: str) -> None:
        """End the current step and call it ``name``."""
        now = time.perf_counter()
        self._steps[name] = (now - self._last) * 1e3
        self._last = now

    def milliseconds(self) -> dict[str, float]:
        """Name of each step, and ``total``, -> milliseconds, rounded to microseconds."""
        steps = {**self._steps, "total": (self._last - self._start) * 1e3}
        return {name: round(value, 3) for name, value in steps.items()}
