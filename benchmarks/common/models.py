"""The service's models, opened with its settings, and the rate of repeated calls."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

from serve_app.resources import resource_dir
from serve_app.settings import Settings
from serve_app.settings.serve_file import read_serve_file
from serve_app.vision.catalogue import Catalogue
from serve_app.vision.face_analyser import FaceAnalyser
from serve_app.vision.model_files import ModelFiles
from serve_app.vision.onnx_session import InferenceSession, open_session

Stage = Literal["detector", "embedder"]


def shipped_settings() -> Settings:
    """The settings of ``facegraph serve`` on this machine: configs/local.yaml and the environment."""
    return read_serve_file(resource_dir("configs") / "local.yaml").settings


def model_files(settings: Settings) -> ModelFiles:
    """The folders with downloaded and prepared models."""
    return ModelFiles(settings.model_dir, settings.model_cache_dir)


def open_stage(settings: Settings, stage: Stage, threads: int | None = None) -> InferenceSession:
    """A stage's model as the service opens it, or with another number of threads.

    Raises:
        ConfigurationError, ModelFileError: as in the service.
    """
    chosen = settings.detector if stage == "detector" else settings.embedder
    inference = chosen.inference if threads is None else chosen.inference.model_copy(update={"threads": threads})
    return open_session(model_files(settings), Catalogue.load().get(chosen.model), inference)


def open_analyser(settings: Settings, liveness: tuple[str, ...] = ()) -> FaceAnalyser:
    """The service's face analyser; ``liveness`` names the models that it cuts crops for."""
    models = [Catalogue.load().get(model) for model in liveness]
    return FaceAnalyser(open_stage(settings, "detector"), settings.detector, settings.limits, models)


def items_per_second(call: Callable[[], object], items: int, seconds: float) -> float:
    """The rate of calls that process ``items`` each, repeated for at least ``seconds``."""
    done, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        call()
        done += items
    return done / (time.perf_counter() - start)
