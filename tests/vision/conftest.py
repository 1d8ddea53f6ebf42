"""Real models on the CPU, one thread each, prepared once for the whole run."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from serve_app.domain import DetectedFace, DetectOptions, Vectors
from serve_app.errors import ModelFileError
from serve_app.settings import DetectorSettings, Inference, Limits
from serve_app.vision.catalogue import Catalogue, ModelEntry
from serve_app.vision.embedding import FaceEmbedder
from serve_app.vision.face_analyser import FaceAnalyser
from serve_app.vision.model_files import ModelFiles
from serve_app.vision.onnx_session import open_session
from tests import photos

ONE_THREAD = Inference(provider="cpu", threads=1)
LIVENESS = ("minifasnet-v2", "minifasnet-v1se", "fr-liveness")

Embed = Callable[[bytes], Vectors]
Have = Callable[[str], ModelEntry]


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return Catalogue.load()


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> ModelFiles:
    return ModelFiles(photos.model_dir(), tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def have(catalogue: Catalogue, files: ModelFiles) -> Have:
    """The entry of a model that can be had without much ado; skips the test otherwise."""

    def entry(model: str) -> ModelEntry:
        found = catalogue.get(model)
        try:
            files.locate(found)
        except ModelFileError as error:
            pytest.skip(error.message)
        return found

    return entry


@pytest.fixture(scope="session")
def analyser(catalogue: Catalogue, files: ModelFiles) -> FaceAnalyser:
    session = open_session(files, catalogue.get("yunet-2023mar"), ONE_THREAD)
    return FaceAnalyser(session, DetectorSettings(), Limits(), [catalogue.get(model) for model in LIVENESS])


@pytest.fixture(scope="session")
def embedder(catalogue: Catalogue, files: ModelFiles) -> FaceEmbedder:
    entry = catalogue.get("sface-2021dec")
    return FaceEmbedder(open_session(files, entry, ONE_THREAD), entry)


@pytest.fixture(scope="session")
def embed(analyser: FaceAnalyser, embedder: FaceEmbedder) -> Embed:
    """Templates of all faces of a photograph, largest first."""

    def templates(photo: bytes) -> Vectors:
        faces = analyser.analyse(photo, DetectOptions()).faces
        return embedder.embed(np.stack([face.crop for face in faces]))

    return templates


@pytest.fixture(scope="session")
def collins(analyser: FaceAnalyser) -> DetectedFace:
    """The astronaut's face with liveness crops."""
    (face,) = analyser.analyse(photos.astronaut(), DetectOptions(liveness=True)).faces
    return face
