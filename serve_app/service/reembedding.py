"""Background worker for a change of embedder: embeds stored crops with the target model.

A worker runs in each ingress replica; the gallery lets one of them work at a time. It keeps no state: the faces that
have no template yet are the work that is left.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid

from serve_app.contracts import Embedder, Matcher
from serve_app.domain import CropsToEmbed, Pixels
from serve_app.errors import FacegraphError, ImageError
from serve_app.service.background import Background
from serve_app.service.image_sets import CROP_LIMITS
from serve_app.vision.align import CROP_SIDE
from serve_app.vision.image import read_image

log = logging.getLogger(__name__)

IDLE_S = 10.0
"""Seconds until the next check for work after one that found none."""


class Reembedder:
    """Embeds stored crops that have no template of the target model, ``batch`` crops per step."""

    def __init__(self, embedder: Embedder, matcher: Matcher, batch: int = 16, idle_s: float = IDLE_S) -> None:
        self._embedder, self._matcher = embedder, matcher
        self._batch, self._idle_s = batch, idle_s
        self._worker = uuid.uuid4().hex
        self._after = ""
        self._background = Background(self._run, "reembedding")

    def start(self) -> None:
        """Start working on the running event loop."""
        self._background.start()

    async def close(self) -> None:
        """Stop. An unfinished batch is dropped and repeated later."""
        await self._background.close()

    async def step(self) -> bool:
        """Process one batch; False if there was none."""
        crops = await self._matcher.crops_to_embed(self._worker, self._after, self._batch)
        if crops is None:
            self._after = ""
            return False
        await self._embed(crops)
        self._after = crops.last
        return True

    async def _embed(self, waiting: CropsToEmbed) -> None:
        found = {face_id: _decode(face_id, crop) for face_id, crop in waiting.crops.items()}
        decoded = {face_id: pixels for face_id, pixels in found.items() if pixels is not None}
        if decoded:
            vectors = await self._embedder.embed(list(decoded.values()), waiting.model)
            await self._matcher.add_templates(waiting.model, dict(zip(decoded, vectors, strict=True)))

    async def _run(self) -> None:
        while True:
            began = time.monotonic()
            try:
                worked = await self.step()
            except FacegraphError as error:
                log.warning("Embedding stored crops is postponed: %s", error)
                worked = False
            # Work at most half of the time: searches use the same processors.
            await asyncio.sleep(time.monotonic() - began if worked else self._idle_s)


def _decode(face_id: str, crop: bytes) -> Pixels | None:
    try:
        _, pixels = read_image(crop, CROP_LIMITS)
    except ImageError as error:
        log.warning("The stored crop of face %s cannot be read: %s", face_id, error)
        return None
    if pixels.shape != (CROP_SIDE, CROP_SIDE, 3):
        log.warning("The stored crop of face %s has shape %s, expected 112 x 112 x 3.", face_id, pixels.shape)
        return None
    return pixels
