"""The search as plain synchronous calls in one process: no event loop, no HTTP, no Ray.

Decode, detect, align and assess (:class:`FaceAnalyser`), embed (:class:`FaceEmbedder`), search the gallery
(:class:`Gallery`: milvus-lite and SQLite), with the service's own code, model files and a copy of its data. What the
service takes longer than this is its overhead.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import onnxruntime

from benchmarks.common.models import Stage, model_files, open_stage
from serve_app.domain import DEFAULT_TENANT, DetectOptions, GalleryQuery
from serve_app.gallery import Gallery, open_gallery
from serve_app.settings import Settings
from serve_app.vision.catalogue import Catalogue
from serve_app.vision.embedding import FaceEmbedder
from serve_app.vision.face_analyser import FaceAnalyser
from serve_app.vision.onnx_session import InferenceSession, OnnxSession

Threads = Literal["shipped", "default", "one"]
"""``shipped``: sessions as the service opens them; ``default``: as onnxruntime opens them without options;
``one``: as the service, with one thread."""


@dataclass(frozen=True, slots=True)
class Timed:
    """One search: milliseconds of each step, and the best match's person (None without a match)."""

    detect: float
    embed: float
    match: float
    person: str | None

    @property
    def total(self) -> float:
        """Milliseconds of all steps."""
        return self.detect + self.embed + self.match


def open_copy(settings: Settings) -> Gallery:
    """The gallery in ``settings.data_dir``, which no other process may have open."""
    return open_gallery(settings, Catalogue.load().calibrations())


class PlainPipeline:
    """The search over a gallery, which several pipelines may share.

    Args:
        threads: how the models' sessions are opened.
    """

    def __init__(self, settings: Settings, gallery: Gallery, threads: Threads) -> None:
        catalogue, files = Catalogue.load(), model_files(settings)
        embedder = catalogue.get(settings.embedder.model)

        def session(stage: Stage) -> InferenceSession:
            if threads == "default":
                path = files.prepared(catalogue.get(getattr(settings, stage).model), "cpu")
                return OnnxSession(onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]), "cpu")
            return open_stage(settings, stage, 1 if threads == "one" else None)

        self._analyser = FaceAnalyser(session("detector"), settings.detector, settings.limits)
        self._embedder = FaceEmbedder(session("embedder"), embedder)
        self._model = embedder.id
        self._gallery = gallery

    def search(self, image: bytes, collection: str) -> Timed:
        """Search the largest face in one collection with the default threshold."""
        start = time.perf_counter()
        detection = self._analyser.analyse(image, DetectOptions(max_faces=1))
        if not detection.faces:
            return Timed((time.perf_counter() - start) * 1e3, 0.0, 0.0, None)
        detected = time.perf_counter()
        template = self._embedder.embed(np.stack([face.crop for face in detection.faces]))
        embedded = time.perf_counter()
        answer = self._gallery.search(DEFAULT_TENANT, GalleryQuery(template, self._model, (collection,), 5))
        end = time.perf_counter()
        best = answer.matches[0][0].person if answer.matches[0] else None
        return Timed(
            detect=(detected - start) * 1e3,
            embed=(embedded - detected) * 1e3,
            match=(end - embedded) * 1e3,
            person=best.id if best else None,
        )

    def detect_ms(self, image: bytes, faces: int) -> float:
        """Milliseconds of detecting up to ``faces`` faces of an image."""
        start = time.perf_counter()
        self._analyser.analyse(image, DetectOptions(max_faces=faces))
        return (time.perf_counter() - start) * 1e3

    def search_many(self, images: Sequence[bytes], collection: str) -> list[str | None]:
        """The best match's person on each image, with one call of the embedder and one of the gallery for all."""
        detections = [self._analyser.analyse(image, DetectOptions(max_faces=1)) for image in images]
        crops = [detection.faces[0].crop for detection in detections if detection.faces]
        if not crops:
            return [None] * len(images)
        query = GalleryQuery(self._embedder.embed(np.stack(crops)), self._model, (collection,), 5)
        answers = iter(self._gallery.search(DEFAULT_TENANT, query).matches)
        found: list[str | None] = []
        for detection in detections:
            matches = next(answers) if detection.faces else ()
            found.append(matches[0].person.id if matches and matches[0].person else None)
        return found
