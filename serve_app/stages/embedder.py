"""The embedder stage: aligned crops to templates, batched over all callers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from serve_app.domain import Pixels, Vectors
from serve_app.observability.metrics import Metrics
from serve_app.settings import Settings
from serve_app.stages.batching import Batcher
from serve_app.vision.align import CROP_SIDE
from serve_app.vision.catalogue import Catalogue
from serve_app.vision.embedding import FaceEmbedder
from serve_app.vision.model_files import ModelFiles
from serve_app.vision.onnx_session import open_session


class _Model(NamedTuple):
    batcher: Batcher[Pixels, NDArray[np.float32]]
    dimension: int
    provider: str


class EmbedderStage:
    """Runs :class:`~serve_app.vision.embedding.FaceEmbedder` behind a :class:`~serve_app.stages.batching.Batcher`.

    The configured model is opened at start. While the gallery changes from one model to another, callers also ask for
    a second model, which is opened at its first use.

    ``metrics`` makes the metrics of a stage from its name. Raises ConfigurationError if a model file or the configured
    provider is missing.
    """

    def __init__(self, settings: Settings, metrics: Callable[[str], Metrics] = Metrics) -> None:
        self._settings = settings
        self._metrics = metrics("embedder")
        self._opening = asyncio.Lock()
        self._models = {settings.embedder.model: self._open(settings.embedder.model)}

    def _open(self, model: str) -> _Model:
        entry = Catalogue.load().get(model)
        files = ModelFiles(self._settings.model_dir, self._settings.model_cache_dir)
        session = open_session(files, entry, self._settings.embedder.inference)
        embedder = FaceEmbedder(session, entry)
        embedder.embed(np.zeros((1, CROP_SIDE, CROP_SIDE, 3), np.uint8))  # a session's first run is its slowest
        self._metrics.model(model, session.provider)

        def run(crops: list[Pixels]) -> list[NDArray[np.float32]]:
            return list(embedder.embed(np.stack(crops)))

        batcher = Batcher(
            run,
            max_batch=self._settings.embedder.max_batch,
            max_queue=self._settings.embedder.max_queue,
            workers=self._settings.embedder.workers,
            name="embedder",
            observer=self._metrics.batch,
        )
        return _Model(batcher, embedder.dimension, session.provider)

    async def _opened(self, model: str) -> _Model:
        if model not in self._models:
            async with self._opening:
                if model not in self._models:
                    self._models[model] = await asyncio.to_thread(self._open, model)
        return self._models[model]

    async def embed(self, crops: Sequence[Pixels], model: str) -> Vectors:
        """See :class:`~serve_app.contracts.Embedder`."""
        opened = await self._opened(model)
        if not crops:
            return np.empty((0, opened.dimension), np.float32)
        with self._metrics.operation("embed"):
            return np.stack(await opened.batcher.submit(crops))

    async def ready(self) -> Mapping[str, Any]:
        """See :class:`~serve_app.contracts.Stage`."""
        return {
            "models": {id: {"provider": m.provider, "dimension": m.dimension} for id, m in self._models.items()},
            "waiting": sum(opened.batcher.waiting for opened in self._models.values()),
        }

    async def close(self) -> None:
        """Refuse new work and finish running batches."""
        for opened in self._models.values():
            await opened.batcher.close()
