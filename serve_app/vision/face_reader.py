"""Template of an image's main face, computed in this process: for measuring models on folders of images."""

from __future__ import annotations

import math
from dataclasses import dataclass

from serve_app.domain import DetectedFace, Detection, DetectOptions, Vectors
from serve_app.errors import ImageError
from serve_app.settings import Settings
from serve_app.vision.catalogue import Catalogue, ModelEntry
from serve_app.vision.embedding import FaceEmbedder
from serve_app.vision.face_analyser import FaceAnalyser
from serve_app.vision.model_files import ModelFiles
from serve_app.vision.onnx_session import open_session


@dataclass(frozen=True, eq=False)
class ReadFace:
    """A detected face and its template, float32 (dimension,) of norm 1."""

    face: DetectedFace
    template: Vectors


class FaceReader:
    """The service's detector and one embedder: that of a catalogue entry, or with None that of the settings.

    Raises ConfigurationError if the settings name an unknown model or a provider that this machine lacks;
    ModelFileError if a model file cannot be found or loaded.
    """

    def __init__(self, settings: Settings, embedder: ModelEntry | None = None) -> None:
        catalogue, files = Catalogue.load(), ModelFiles(settings.model_dir, settings.model_cache_dir)
        detector = catalogue.get(settings.detector.model)
        self.entry = embedder or catalogue.get(settings.embedder.model)
        session = open_session(files, detector, settings.detector.inference)
        self._analyser = FaceAnalyser(session, settings.detector, settings.limits)
        self._embedder = FaceEmbedder(open_session(files, self.entry, settings.embedder.inference), self.entry)

    def central(self, image: bytes) -> ReadFace | None:
        """The face nearest to the image's centre, where data sets have the person they name; None without a face.

        An image that cannot be decoded counts as one without a face.
        """
        try:
            detection = self._analyser.analyse(image, DetectOptions())
        except ImageError:
            return None
        if not detection.faces:
            return None
        face = central_face(detection)
        return ReadFace(face, self._embedder.embed(face.crop[None])[0])


def central_face(detection: Detection) -> DetectedFace:
    """The face whose box centre is nearest to the image's centre; ``detection`` must have at least one face."""
    width, height = detection.image.width, detection.image.height

    def distance(face: DetectedFace) -> float:
        box = face.box
        return math.hypot(box.x + box.width / 2 - width / 2, box.y + box.height / 2 - height / 2)

    return min(detection.faces, key=distance)
