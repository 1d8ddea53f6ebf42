"""The liveness scorer: presentation attack detection on crops of the original pixels, by the mean of several models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from serve_app.domain import DetectedFace, Liveness, Pixels
from serve_app.errors import LivenessUnavailable
from serve_app.settings import Settings
from serve_app.stages.batching import Batcher
from serve_app.stages.metrics import Metrics
from serve_app.vision.antispoof import LivenessEnsemble, open_ensemble

Crops = Mapping[str, Pixels]


class LivenessStage:
    """Runs a :class:`~serve_app.vision.antispoof.LivenessEnsemble`; without any model it serves errors, never a pass."""

    def __init__(
        self,
        ensemble: LivenessEnsemble | None,
        *,
        threshold: float,
        max_batch: int,
        max_queue: int,
        missing: Sequence[str] = (),
        metrics: Metrics | None = None,
    ) -> None:
        self._metrics = metrics or Metrics()
        self._threshold = threshold
        self._missing = tuple(missing)
        self._ensemble = ensemble
        self._batcher: Batcher[Crops, Mapping[str, float]] | None = None
        if ensemble is not None:
            self._batcher = Batcher(
                ensemble.probabilities,
                max_batch=max_batch,
                max_queue=max_queue,
                name="liveness",
                observer=self._metrics.batch,
            )

    @classmethod
    def open(cls, settings: Settings, metrics: Metrics | None = None) -> LivenessStage:
        """With those of the configured models that can be had; the others are named by :meth:`ready`.

        Raises:
            ConfigurationError: the wanted provider is missing, or a model is not in the catalogue.
        """
        ensemble, missing = open_ensemble(settings)
        return cls(
            ensemble,
            threshold=settings.liveness.threshold,
            max_batch=settings.liveness.max_batch,
            max_queue=settings.liveness.max_queue,
            missing=missing,
            metrics=metrics,
        )

    async def score(self, faces: Sequence[DetectedFace], threshold: float | None = None) -> list[Liveness]:
        """See :class:`~serve_app.stages.protocols.LivenessScorer`."""
        if self._batcher is None:
            raise LivenessUnavailable(
                "Liveness was asked for, but none of its models is installed: run 'facegraph models pull'.",
                missing=list(self._missing),
            )
        with self._metrics.operation("liveness"):
            probabilities = await self._batcher.submit([face.liveness_crops for face in faces])
        wanted = self._threshold if threshold is None else threshold
        return [Liveness(sum(votes.values()) / len(votes), votes, wanted) for votes in probabilities]

    async def ready(self) -> Mapping[str, Any]:
        """See :class:`~serve_app.stages.protocols.Stage`. No model at all is a state to serve in, not a failure."""
        models = list(self._ensemble.models) if self._ensemble else []
        return {"models": models, "missing": list(self._missing), "threshold": self._threshold}

    async def close(self) -> None:
        """Refuse new work, finish what runs."""
        if self._batcher is not None:
            await self._batcher.close()
