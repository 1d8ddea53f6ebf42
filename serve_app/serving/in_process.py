"""Stages in this process, and the service over stages wherever they run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from serve_app.observability.metrics import Metrics
from serve_app.service import FaceService
from serve_app.serving.stage_kinds import STAGES
from serve_app.settings import Settings
from serve_app.vision.catalogue import Catalogue


def assemble(settings: Settings, stages: Mapping[str, Any]) -> FaceService:
    """The service over these stages, by the names of :data:`~.stage_kinds.STAGES`, local or remote."""
    return FaceService(
        **stages,
        calibrations=Catalogue.load().calibrations(),
        max_faces=settings.limits.max_faces_per_image,
    )


@dataclass(frozen=True)
class LocalStages:
    """Stages in this process, opened and closed together.

    Attributes:
        stages: by name.
    """

    stages: Mapping[str, Any]

    @classmethod
    def open(
        cls, settings: Settings, metrics: Callable[[str], Metrics] = Metrics, elsewhere: Collection[str] = ()
    ) -> LocalStages:
        """All stages but those that run elsewhere. Raises ConfigurationError, StoreUnavailable."""
        return cls({name: kind.make(settings, metrics) for name, kind in STAGES.items() if name not in elsewhere})

    def service(self, settings: Settings) -> FaceService:
        """The service over them, when all are here."""
        return assemble(settings, self.stages)

    async def close(self) -> None:
        """Finish what runs and release everything."""
        for stage in self.stages.values():
            await stage.close()
