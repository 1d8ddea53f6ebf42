"""The whole pipeline in one process: what benchmarks and tests compare the service with."""

from __future__ import annotations

from dataclasses import dataclass

from serve_app.contracts.matcher import Detector, Embedder, LivenessScorer, Matcher
from serve_app.service import FaceService
from serve_app.settings import Settings
from serve_app.stages.detector import DetectorStage
from serve_app.stages.embedder import EmbedderStage
from serve_app.stages.liveness import LivenessStage
from serve_app.stages.matcher import MatcherStage
from serve_app.vision.catalogue import Catalogue


def assemble(
    settings: Settings,
    detector: Detector,
    liveness: LivenessScorer,
    embedder: Embedder,
    matcher: Matcher,
) -> FaceService:
    """The service over these stages, local or remote."""
    return FaceService(
        detector,
        liveness,
        embedder,
        matcher,
        calibrations=Catalogue.load().calibrations(),
        max_faces=settings.limits.max_faces_per_image,
    )


@dataclass
class LocalStages:
    """All four stages in this process, opened and closed together."""

    detector: DetectorStage
    liveness: LivenessStage
    embedder: EmbedderStage
    matcher: MatcherStage

    @classmethod
    def open(cls, settings: Settings) -> LocalStages:
        """Raises ConfigurationError, StoreUnavailable."""
        return cls(DetectorStage(settings), LivenessStage(settings), EmbedderStage(settings), MatcherStage(settings))

    def service(self, settings: Settings) -> FaceService:
        """The service over them."""
        return assemble(settings, self.detector, self.liveness, self.embedder, self.matcher)

    async def close(self) -> None:
        """Finish what runs and release everything."""
        for stage in (self.detector, self.liveness, self.embedder, self.matcher):
            await stage.close()
