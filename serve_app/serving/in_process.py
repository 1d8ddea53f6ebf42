"""Stages inside this process, and assembly of the service over local and remote stages."""

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
    """The service over all four stages; ``stages`` maps the names of :data:`~.stage_kinds.STAGES` to stages."""
    return FaceService(
        **stages, calibrations=Catalogue.load().calibrations(), max_faces=settings.limits.max_faces_per_image
    )


@dataclass(frozen=True)
class LocalStages:
    """Stages inside this process, by name, opened and closed together."""

    stages: Mapping[str, Any]

    @classmethod
    def open(
        cls, settings: Settings, metrics: Callable[[str], Metrics] = Metrics, elsewhere: Collection[str] = ()
    ) -> LocalStages:
        """Open all stages except those named in ``elsewhere``, which run in other processes.

        Raises ConfigurationError, StoreUnavailable if a stage cannot be opened.
        """
        return cls({name: kind.make(settings, metrics) for name, kind in STAGES.items() if name not in elsewhere})

    def service(self, settings: Settings) -> FaceService:
        """The service over these stages; all four must be local."""
        return assemble(settings, self.stages)

    async def close(self) -> None:
        """Finish running calls and close all stages."""
        for stage in self.stages.values():
            await stage.close()
