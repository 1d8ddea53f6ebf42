"""Searching: who is on a picture, who looks like an enrolled face."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from serve_app.domain import (
    DetectOptions,
    GalleryQuery,
    SearchedFace,
    SearchResult,
    ThresholdRequest,
    Vectors,
)
from serve_app.errors import LivenessRequired
from serve_app.score import check_threshold
from serve_app.service.base import FaceChoice, Operations

NO_PROBES: Vectors = np.empty((0, 0), np.float32)


class SearchOperations(Operations):
    """One or several faces against one or several collections."""

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
