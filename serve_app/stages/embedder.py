"""The embedder: aligned crops in, templates out, dynamically batched over all callers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serve_app.domain import Pixels, Vectors
from serve_app.settings import Settings
from serve_app.stages.batching import Batcher
from serve_app.stages.metrics import Metrics
from serve_app.vision.align import CROP_SIDE
from serve_app.vision.catalogue import Catalogue
from serve_app.vision.embedding import FaceEmbedder
from serve_app.vision.files import ModelFiles
from serve_app.vision.session import open_session


class EmbedderStage:
    """Runs a :class:`~serve_app.vision.embedding.FaceEmbedder` behind a :class:`~serve_app.stages.batching.Batcher`.

    Raises:
        ConfigurationError: a model file or the wanted provider is missing.
    """

    def __init__(self, settings: Settings, metrics: Callable[[str], Metrics] = Metrics) -> None:
        entry = Catalogue.load().get(settings.embedder.model)
        files = ModelFiles(settings.model_dir, settings.model_cache_dir)
        session = open_session(files, entry, settings.embedder.inference)
        embedder = FaceEmbedder(session, entry)
        embedder.embed(np.zeros((1, CROP_SIDE, CROP_SIDE, 3), np.uint8))  # a session's first run is its slowest
        self._dimension = embedder.dimension
        self._metrics = metrics("embedder")
        self._facts: dict[str, Any] = {"model": entry.id, "provider": session.provider, "dimension": embedder.dimension}

        def run(crops: list[Pixels]) -> list[NDArray[np.float32]]:
            return list(embedder.embed(np.stack(crops)))

        self._batcher: Batcher[Pixels, NDArray[np.float32]] = Batcher(
            run,
            max_batch=settings.embedder.max_batch,
            max_queue=settings.embedder.max_queue,
            name="embedder",
            observer=self._metrics.batch,
        )

    async def embed(self, crops: Sequence[Pixels]) -> Vectors:
        """See :class:`~serve_app.stages.protocols.Embedder`."""
        if not crops:
            return np.empty((0, self._dimension), np.float32)
        with self._metrics.operation("embed"):
            return np.stack(await self._batcher.submit(crops))

    async def ready(self) -> Mapping[str, Any]:
        """See :class:`~serve_app.stages.protocols.Stage`."""
        self._metrics.models([self._facts["model"]])
        return {**self._facts, "waiting": self._batcher.waiting}

    async def check_health(self) -> None:
        """Called by Serve: an answer at all is the proof. What a restart cannot mend is for :meth:`ready` to tell."""

    async def close(self) -> None:
        """Refuse new work, finish what runs."""
        await self._batcher.close()
