"""The detector stage: compressed image to faces. No other stage decodes images."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from typing import Any, TypeVar

import numpy as np

from serve_app.cancellation import check_wanted, in_thread
from serve_app.domain import Box, Detection, DetectOptions, Pixels
from serve_app.observability.metrics import Metrics
from serve_app.processors import cpu_count
from serve_app.settings import Settings
from serve_app.vision.catalogue import Catalogue
from serve_app.vision.cpu_slots import PROCESS_SLOTS
from serve_app.vision.face_analyser import FaceAnalyser
from serve_app.vision.model_files import ModelFiles
from serve_app.vision.onnx_session import open_session
from serve_app.vision.turns import LargePicture, beside_others

Result = TypeVar("Result")


class DetectorStage:
    """Runs a :class:`~serve_app.vision.face_analyser.FaceAnalyser` on its own threads.

    Large pictures have one thread of their own. Those that wait for it keep no thread from the others, and of them only
    the files are in memory.

    ``metrics`` makes the metrics of a stage from its name. Raises ConfigurationError if a model file or the configured
    provider is missing.
    """

    def __init__(self, settings: Settings, metrics: Callable[[str], Metrics] = Metrics) -> None:
        catalogue, files = Catalogue.load(), ModelFiles(settings.model_dir, settings.model_cache_dir)
        entry = catalogue.get(settings.detector.model)
        session = open_session(files, entry, settings.detector.inference)
        liveness = [catalogue.get(model) for model in settings.liveness.models]
        workers = settings.detector.workers or cpu_count()
        self._analyser = FaceAnalyser(session, settings.detector, settings.limits, liveness)
        self._analyser.finder.detector.detect(np.zeros((480, 640, 3), np.uint8))  # a session's first run is its slowest
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="detector")
        self._in_turn = ThreadPoolExecutor(1, thread_name_prefix="detector-large")
        self._metrics = metrics("detector")
        self._metrics.model(entry.id, session.provider)
        self._facts: dict[str, Any] = {"model": entry.id, "provider": session.provider, "workers": workers}

    async def detect(self, image: bytes, options: DetectOptions) -> Detection:
        """See :class:`~serve_app.contracts.Detector`."""
        with self._metrics.operation("detect"):
            detection = await self._run(self._analyser.analyse, image, options)
        self._metrics.faces(len(detection.faces))
        return detection

    async def liveness_crops(self, image: bytes, places: Sequence[tuple[Box, int]]) -> list[Mapping[str, Pixels]]:
        """See :class:`~serve_app.contracts.Detector`."""
        with self._metrics.operation("liveness_crops"):
            return [*await self._run(self._analyser.liveness_crops, image, places)]

    async def _run(self, work: Callable[..., Result], *args: Any) -> Result:
        with suppress(LargePicture):
            return await in_thread(self._executor, beside_others, self._in_slot, work, *args)
        return await in_thread(self._in_turn, self._in_slot, work, *args)

    def _in_slot(self, work: Callable[..., Result], *args: Any) -> Result:
        # The slot is also held while the image is decoded and faces are aligned.
        with PROCESS_SLOTS.hold() if self._facts["provider"] == "cpu" else nullcontext():
            check_wanted()  # for the slot it may have waited longer than its caller
            return work(*args)

    async def ready(self) -> Mapping[str, Any]:
        """See :class:`~serve_app.contracts.Stage`."""
        return self._facts

    async def close(self) -> None:
        """Finish running calls and release the threads."""
        for executor in (self._executor, self._in_turn):
            await asyncio.to_thread(executor.shutdown, wait=True)
