"""Table of the four stages: class, contract and name of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from serve_app.contracts import Detector, Embedder, LivenessScorer, Matcher
from serve_app.stages import DetectorStage, EmbedderStage, LivenessStage, MatcherStage


class StageKind(NamedTuple):
    """One kind of stage."""

    make: Callable[..., Any]  # the stage's class; takes the settings and a factory of metrics
    contract: type  # the protocol that it implements
    title: str  # name in error messages


STAGES: Mapping[str, StageKind] = {
    "detector": StageKind(DetectorStage, Detector, "detector"),
    "liveness": StageKind(LivenessStage, LivenessScorer, "liveness scorer"),
    "embedder": StageKind(EmbedderStage, Embedder, "embedder"),
    "matcher": StageKind(MatcherStage, Matcher, "matcher"),
}
"""Name -> stage. The name is also that of its settings, of its argument to ``FaceService`` and, capitalised, of its
deployment."""
