"""The liveness scorer stage: presentation attack detection on crops of the original pixels by several models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from serve_app.domain import DetectedFace, Liveness, Pixels
from serve_app.errors import LivenessUnavailable
from serve_app.observability.metrics import Metrics
from serve_app.settings import Settings
from serve_app.stages.batching import Batcher
from serve_app.vision.liveness_ensemble import combined, open_ensemble

Crops = Mapping[str, Pixels]


class LivenessStage:
    """Runs a :class:`~serve_app.vision.liveness_ensemble.LivenessEnsemble`; without any model every call is an error.

    The configured models whose files are available are used; :meth:`ready` lists the missing ones.

    ``metrics`` makes the metrics of a stage from its name. Raises ConfigurationError if the configured provider is
    missing, or a model is not in the catalogue.
    """

    def __init__(self, settings: Settings, metrics: Callable[[str], Metrics] = Metrics) -> None:
        ensemble, missing = open_ensemble(settings)
        self._metrics = metrics("liveness")
        self._threshold = settings.liveness.threshold
        self._missing = missing
        self._models = list(ensemble.models) if ensemble else []
        self._batcher: Batcher[Crops, Mapping[str, float]] | None = None
        if ensemble is not None:
            for model, provider in ensemble.providers.items():
                self._metrics.model(model, provider)
            self._batcher = Batcher(
                ensemble.probabilities,
                max_batch=settings.liveness.max_batch,
                max_queue=settings.liveness.max_queue,
                name="liveness",
                observer=self._metrics.batch,
            )

    async def score(self, faces: Sequence[DetectedFace], threshold: float | None = None) -> list[Liveness]:
        """See :class:`~serve_app.contracts.LivenessScorer`."""
        if self._batcher is None:
            raise LivenessUnavailable(
                "Liveness was asked for, but none of its models is installed: run 'facegraph models pull'.",
                missing=list(self._missing),
            )
        with self._metrics.operation("liveness"):
            probabilities = await self._batcher.submit([face.liveness_crops for face in faces])
        wanted = self._threshold if threshold is None else threshold
        scored = [Liveness(combined(votes), votes, wanted) for votes in probabilities]
        self._metrics.outcomes("live" if liveness.is_live else "spoof" for liveness in scored)
        return scored

    async def ready(self) -> Mapping[str, Any]:
        """See :class:`~serve_app.contracts.Stage`. The stage is ready even if no model is installed."""
        return {"models": self._models, "missing": list(self._missing), "threshold": self._threshold}

    async def close(self) -> None:
        """Refuse new work and finish running batches."""
        if self._batcher is not None:
            await self._batcher.close()
