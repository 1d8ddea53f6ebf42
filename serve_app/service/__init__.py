"""What facegraph does, independent of how it is asked: the one set of operations behind every API, handle and dialect.

Each operation orders the stages' work and returns domain values. Pictures are compressed bytes as received. What only
reads or changes the gallery needs no operation: callers use ``service.matcher``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from serve_app.domain import EmbeddersInUse
from serve_app.service.choices import EnrolmentChoice, FaceChoice, ProbeChoice
from serve_app.service.image_sets import SetOperations
from serve_app.service.pictures import PictureOperations
from serve_app.service.refusals import refuse_not_live
from serve_app.service.search import SearchOperations
from serve_app.service.unassigned_faces import RegisteringOperations

__all__ = ["EnrolmentChoice", "FaceChoice", "FaceService", "ProbeChoice", "refuse_not_live"]


class FaceService(PictureOperations, SearchOperations, SetOperations, RegisteringOperations):
    """All operations over the four stages; see :class:`~serve_app.service.operations.Operations` for its arguments."""

    async def embedders_in_use(self) -> EmbeddersInUse:
        """What is embedded with, as of a moment ago."""
        return await self._embedders()

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
