"""The worker of a change of embedder: stored crops in, templates by the target out, in the background.

It runs beside the service in each ingress; the gallery lets one of them work. It keeps no state: whatever has no
template yet is what is left to do.
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
"""Between two looks for something to do."""


class Reembedder:
    """Embeds what waits.

    Args:
        embedder, matcher: the stages, local or remote.
        batch: crops at once.
        idle_s: between two looks when there was nothing to do.
    """

    def __init__(self, embedder: Embedder, matcher: Matcher, batch: int = 16, idle_s: float = IDLE_S) -> None:
        self._embedder = embedder
        self._matcher = matcher
        self._batch = batch
        self._idle_s = idle_s
        self._worker = uuid.uuid4().hex
        self._after = ""
        self._background = Background(self._run, "reembedding")

    def start(self) -> None:
        """Work from now on, on the running event loop."""
        self._background.start()

    async def close(self) -> None:
        """Stop; a batch that is under way is lost and made again."""
        await self._background.close()

    async def step(self) -> bool:
        """One batch; whether there was one."""
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
                log.warning("embedding stored crops has to wait: %s", error)
                worked = False
            # At most half of the time: searches use the same processor.
            await asyncio.sleep(time.monotonic() - began if worked else self._idle_s)


def _decode(face_id: str, crop: bytes) -> Pixels | None:
    try:
        _, pixels = read_image(crop, CROP_LIMITS)
    except ImageError as error:
        log.warning("the stored crop of the face %s cannot be read: %s", face_id, error)
        return None
    if pixels.shape != (CROP_SIDE, CROP_SIDE, 3):
        log.warning("the stored crop of the face %s is of shape %s", face_id, pixels.shape)
        return None
    return pixels
