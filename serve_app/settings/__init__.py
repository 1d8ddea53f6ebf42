"""Typed settings of the service, read once at start and passed down."""

from __future__ import annotations

from serve_app.settings.sections import (
    AuditSettings,
    Autoscaling,
    ImageUrls,
    Limits,
    ServeOptions,
    StorageSettings,
    TracingSettings,
)
from serve_app.settings.stages import (
    DetectorSettings,
    EmbedderSettings,
    Inference,
    IngressSettings,
    LivenessSettings,
    MatcherSettings,
    StageSettings,
)
from serve_app.settings.topology import Topology
from serve_app.settings.tree import Settings, load_settings

__all__ = [
    "AuditSettings",
    "Autoscaling",
    "DetectorSettings",
    "EmbedderSettings",
    "ImageUrls",
    "Inference",
    "IngressSettings",
    "Limits",
    "LivenessSettings",
    "MatcherSettings",
    "ServeOptions",
    "Settings",
    "StageSettings",
    "StorageSettings",
    "Topology",
    "TracingSettings",
    "load_settings",
]
