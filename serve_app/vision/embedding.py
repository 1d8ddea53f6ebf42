"""Templates: unit vectors whose cosine says how alike two faces are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from serve_app.domain import Vectors
from serve_app.errors import ConfigurationError
from serve_app.vision.catalogue import ModelEntry
from serve_app.vision.session import InferenceSession
from serve_app.vision.tensors import to_tensor


class FaceEmbedder:
    """Any embedder of aligned faces that the catalogue describes.

    Args:
        session: the prepared graph, with one output of (n, dimension).
        entry: its input layout and dimension.

    Raises:
        ConfigurationError: the entry is no embedder.
    """

    def __init__(self, session: InferenceSession, entry: ModelEntry) -> None:
        if entry.dimension is None:
            raise ConfigurationError(f"The model {entry.id!r} is a {entry.task}, not an embedder.")
        self.dimension = entry.dimension
        self._session = session
        self._entry = entry

    def embed(self, crops: NDArray[np.uint8]) -> Vectors:
        """Templates of aligned faces.

        Args:
            crops: uint8 (n, height, width, 3) BGR of the entry's size (112x112 for the shipped one); n may be 0.

        Returns:
            float32 (n, dimension), each row of norm 1.

        Raises:
            ValueError: another shape or type.
            ConfigurationError: the graph's output has another dimension than the entry says.
        """
        spec = self._entry.input
        if crops.dtype != np.uint8 or crops.shape[1:] != (spec.height, spec.width, 3):
            raise ValueError(
                f"expected uint8 crops of shape (n, {spec.height}, {spec.width}, 3), got {crops.dtype} {crops.shape}"
            )
        if not len(crops):
            return np.empty((0, self.dimension), np.float32)
        (raw,) = self._session.run(to_tensor(crops, spec))
        if raw.shape != (len(crops), self.dimension):
            raise ConfigurationError(
                f"{self._entry.id}: expected templates of dimension {self.dimension}, the graph gave shape {raw.shape}."
            )
        norms = np.linalg.norm(raw, axis=1, keepdims=True)
        return np.asarray(raw / np.maximum(norms, np.finfo(np.float32).tiny), np.float32)
