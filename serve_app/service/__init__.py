"""The service's operations, shared by all APIs, dialects and the Python handle.

Each operation calls the stages in order and returns domain values. Images are compressed bytes as received. Requests
that only read or change the gallery need no operation: callers use ``service.matcher``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from serve_app.domain import EmbeddersInUse
from serve_app.service.face_checks import EnrolmentChoice, FaceChoice, ProbeChoice, refuse_not_live
from serve_app.service.image_sets import SetOperations
from serve_app.service.pictures import PictureOperations
from serve_app.service.search import SearchOperations
from serve_app.service.unassigned_faces import UnassignedFacesOperations

__all__ = ["EnrolmentChoice", "FaceChoice", "FaceService", "ProbeChoice", "refuse_not_live"]


class FaceService(PictureOperations, SearchOperations, SetOperations, UnassignedFacesOperations):
    """All operations over the four stages; see :class:`~serve_app.service.operations.Operations` for its arguments."""

    async def embedders_in_use(self) -> EmbeddersInUse:
        """The embedders in use; the answer can be up to a second old."""
        return await self._embedders()

    async def ready(self) -> Mapping[str, Mapping[str, Any]]:
        """Facts about each running stage, by the stage's name; see :meth:`serve_app.contracts.Stage.ready`.

        Raises Unavailable if a stage cannot serve; the message names it.
        """
        names = ("detector", "liveness", "embedder", "matcher")
        facts = await asyncio.gather(*(getattr(self, name).ready() for name in names))
        return dict(zip(names, facts, strict=True))
