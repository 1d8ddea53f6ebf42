"""Embedder: aligned face crops to templates, unit vectors whose cosine measures how similar two faces are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from serve_app.domain import Vectors
from serve_app.errors import ConfigurationError
from serve_app.vision.align import CROP_SIDE, placement
from serve_app.vision.catalogue import ModelEntry
from serve_app.vision.onnx_session import InferenceSession
from serve_app.vision.tensors import to_tensor


class FaceEmbedder:
    """An embedder of aligned faces, described by a catalogue entry.

    All embedders take the same aligned crops. The gallery stores these crops, so a face that was enrolled with one
    model can be embedded by another. For a model with another input size or other landmark positions the crop is
    warped.

    Args:
        session: the prepared graph, with one output of (n, dimension).
        entry: input layout, alignment and dimension of the model.

    Raises ConfigurationError if the entry is not an embedder.
    """

    def __init__(self, session: InferenceSession, entry: ModelEntry) -> None:
        if entry.dimension is None or entry.alignment is None:
            raise ConfigurationError(f"The model {entry.id!r} is a {entry.task}, not an embedder.")
        self.dimension = entry.dimension
        self._session = session
        self._entry = entry
        self._place = placement(entry.alignment.landmarks, entry.input.width, entry.input.height)

    def embed(self, crops: NDArray[np.uint8]) -> Vectors:
        """Templates, float32 (n, dimension), each row of norm 1.

        Takes uint8 (n, 112, 112, 3) BGR, aligned by :func:`serve_app.vision.align.align`; n can be 0.

        Raises ValueError if the crops have another shape or dtype; ConfigurationError if the graph's output dimension
        differs from the entry's.
        """
        if crops.dtype != np.uint8 or crops.shape[1:] != (CROP_SIDE, CROP_SIDE, 3):
            raise ValueError(
                f"expected uint8 crops of shape (n, {CROP_SIDE}, {CROP_SIDE}, 3), got {crops.dtype} {crops.shape}"
            )
        if not len(crops):
            return np.empty((0, self.dimension), np.float32)
        placed = crops if self._place is None else np.stack([self._place(crop) for crop in crops])
        templates = self._run(placed)
        if self._entry.mirrored:
            templates = _unit(templates + self._run(placed[:, :, ::-1]))
        return templates

    def _run(self, crops: NDArray[np.uint8]) -> Vectors:
        (raw,) = self._session.run(to_tensor(crops, self._entry.input))
        if raw.shape != (len(crops), self.dimension):
            raise ConfigurationError(
                f"{self._entry.id}: expected templates of dimension {self.dimension}, the graph gave shape {raw.shape}."
            )
        return _unit(raw)


def _unit(rows: NDArray[np.float32]) -> Vectors:
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(norms, np.finfo(np.float32).tiny), np.float32)
