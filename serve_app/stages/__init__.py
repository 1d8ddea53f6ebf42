"""The stages as plain classes without Ray; :mod:`serve_app.serving` turns them into deployments."""

from __future__ import annotations

from serve_app.stages.detector import DetectorStage
from serve_app.stages.embedder import EmbedderStage
from serve_app.stages.liveness import LivenessStage
from serve_app.stages.matcher import MatcherStage

__all__ = ["DetectorStage", "EmbedderStage", "LivenessStage", "MatcherStage"]
