"""The same search in one process: plain synchronous calls, one after the other, no event loop, no HTTP, no Ray.

Decode, detect, align and judge (:class:`FaceAnalyser`), embed (:class:`FaceEmbedder`), look up in the gallery
(:class:`Gallery`: milvus-lite and SQLite) with the service's own code, model files and a copy of its data: what is
left of the service when everything between the steps is taken away.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import onnxruntime

from serve_app.domain import DEFAULT_TENANT, DetectOptions, GalleryQuery
from serve_app.gallery import Gallery, open_gallery
from serve_app.resources import resource_dir
from serve_app.settings import Settings
from serve_app.settings.serve_file import read_serve_file
from serve_app.vision.catalogue import Catalogue, ModelEntry
from serve_app.vision.embedding import FaceEmbedder
from serve_app.vision.face_analyser import FaceAnalyser
from serve_app.vision.model_files import ModelFiles
from serve_app.vision.onnx_session import InferenceSession, OnnxSession, open_session

Threads = Literal["shipped", "default", "one"]
"""``shipped``: sessions as the service opens them; ``default``: as onnxruntime opens them when nothing is said;
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
        """Milliseconds altogether."""
        return self.detect + self.embed + self.match


def shipped_settings() -> Settings:
    """What ``facegraph serve`` runs with here: configs/local.yaml and the environment."""
    return read_serve_file(resource_dir("configs") / "local.yaml").settings


def open_copy(settings: Settings) -> Gallery:
    """The gallery in ``settings.data_dir``, which no other process may have open."""
    return open_gallery(settings, Catalogue.load().calibrations())


class PlainPipeline:
    """One way of running the models, over a gallery that several pipelines may share."""

    def __init__(self, settings: Settings, gallery: Gallery, threads: Threads) -> None:
        catalogue, files = Catalogue.load(), ModelFiles(settings.model_dir, settings.model_cache_dir)
        detector, embedder = catalogue.get(settings.detector.model), catalogue.get(settings.embedder.model)

        def session(entry: ModelEntry) -> InferenceSession:
            if threads == "default":
                path = files.prepared(entry, "cpu")
                return OnnxSession(onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]), "cpu")
            stage = settings.detector if entry is detector else settings.embedder
            inference = stage.inference.model_copy(update={"threads": 1}) if threads == "one" else stage.inference
            return open_session(files, entry, inference)

        self._analyser = FaceAnalyser(session(detector), settings.detector, settings.limits)
        self._embedder = FaceEmbedder(session(embedder), embedder)
        self._model = embedder.id
        self._gallery = gallery

    def search(self, image: bytes, collection: str) -> Timed:
        """The largest face against one collection with the default threshold."""
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
        """Milliseconds until so many faces of a picture are found."""
        start = time.perf_counter()
        self._analyser.analyse(image, DetectOptions(max_faces=faces))
        return (time.perf_counter() - start) * 1e3

    def search_many(self, images: Sequence[bytes], collection: str) -> list[str | None]:
        """The best match's person on each picture; embedder and gallery are asked once for all."""
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
