"""The embedder: aligned crops in, templates out, dynamically batched over all callers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serve_app.domain import Pixels, Vectors
from serve_app.settings import Settings
from serve_app.stages.batching import Batcher
from serve_app.stages.metrics import Metrics
from serve_app.vision.catalogue import Catalogue
from serve_app.vision.embedding import FaceEmbedder
from serve_app.vision.files import ModelFiles
from serve_app.vision.session import open_session


class EmbedderStage:
    """Runs a :class:`~serve_app.vision.embedding.FaceEmbedder` behind a :class:`~serve_app.stages.batching.Batcher`."""

    def __init__(
        self,
        embedder: FaceEmbedder,
        facts: Mapping[str, Any],
        *,
        max_batch: int,
        max_queue: int,
        metrics: Metrics | None = None,
    ) -> None:
        self._metrics = metrics or Metrics()
        self._facts = {**facts, "dimension": embedder.dimension, "max_batch": max_batch}
        self._dimension = embedder.dimension

        def run(crops: list[Pixels]) -> list[NDArray[np.float32]]:
            return list(embedder.embed(np.stack(crops)))

        self._batcher: Batcher[Pixels, NDArray[np.float32]] = Batcher(
            run, max_batch=max_batch, max_queue=max_queue, name="embedder", observer=self._metrics.batch
        )

    @classmethod
    def open(cls, settings: Settings, metrics: Metrics | None = None) -> EmbedderStage:
        """With the model and options of the settings.

        Raises:
            ConfigurationError: a model file or the wanted provider is missing.
        """
        entry = Catalogue.load().get(settings.embedder.model)
        files = ModelFiles(settings.model_dir, settings.model_cache_dir)
        session = open_session(files, entry, settings.embedder.inference)
        return cls(
            FaceEmbedder(session, entry),
            {"model": entry.id, "provider": session.provider},
            max_batch=settings.embedder.max_batch,
            max_queue=settings.embedder.max_queue,
            metrics=metrics,
        )

    async def embed(self, crops: Sequence[Pixels]) -> Vectors:
        """See :class:`~serve_app.stages.protocols.Embedder`."""
        if not crops:
            return np.empty((0, self._dimension), np.float32)
        with self._metrics.operation("embed"):
            return np.stack(await self._batcher.submit(crops))

    async def ready(self) -> Mapping[str, Any]:
        """See :class:`~serve_app.stages.protocols.Stage`."""
        return {**self._facts, "waiting": self._batcher.waiting}

    async def close(self) -> None:
        """Refuse new work, finish what runs."""
        await self._batcher.close()
