"""Facts about the service that do not change while it runs."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from serve_app import __version__
from serve_app.score import DEFAULT_FPIR, DEFAULT_MIN_SCORE
from serve_app.settings import Settings
from serve_app.vision.catalogue import Catalogue

VERSIONED = ("ray", "fastapi", "onnxruntime-gpu", "onnxruntime", "numpy", "opencv-python-headless", "pymilvus")


def static_info(settings: Settings) -> dict[str, Any]:
    """Versions, models, thresholds and limits as JSON-ready values; no paths, addresses or secrets."""
    catalogue = Catalogue.load()
    models = (settings.detector.model, settings.embedder.model, *settings.liveness.models)
    return {
        "name": "facegraph",
        "version": __version__,
        "versions": {package: found for package in VERSIONED if (found := _installed(package))},
        "topology": settings.topology.value,
        "topology_reason": settings.topology_reason,
        "models": {
            entry.id: {"task": entry.task, "licence": entry.licence, "sha256": entry.sha256}
            for entry in map(catalogue.get, models)
        },
        "thresholds": {
            "search_fpir": DEFAULT_FPIR,
            "compare_min_score": DEFAULT_MIN_SCORE,
            "liveness": settings.liveness.threshold,
            "detection": settings.detector.min_score,
        },
        "limits": settings.limits.model_dump(),
    }


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except ModuleNotFoundError:
        return None
