"""Presentation attack detection from one picture: the mean opinion of several small classifiers."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from serve_app.domain import Box, Pixels
from serve_app.errors import ConfigurationError, ModelFileError
from serve_app.settings import Settings
from serve_app.vision.catalogue import Catalogue, InputSpec, LivenessSpec, ModelEntry
from serve_app.vision.model_files import ModelFiles
from serve_app.vision.onnx_session import InferenceSession, open_session
from serve_app.vision.tensors import to_tensor

logger = logging.getLogger(__name__)


def crop_bounds(width: int, height: int, box: Box, crop_scale: float) -> tuple[int, int, int, int]:
    """Which part of a picture a liveness model looks at.

    The box is enlarged about its centre by ``crop_scale``, or less where the picture is smaller, then shifted (not
    padded) back into the picture: the rule that the MiniFASNets were trained with.

    Args:
        width, height: of the picture, at least 1 pixel.
        box: the face; it may reach beyond the picture.

    Returns:
        First column, first row, last column, last row, all inside the picture.
    """
    box_width, box_height = max(box.width, 1.0), max(box.height, 1.0)
    scale = min((height - 1) / box_height, (width - 1) / box_width, crop_scale)
    left, right = _shifted(box.x + box.width / 2, box_width * scale, width - 1)
    top, bottom = _shifted(box.y + box.height / 2, box_height * scale, height - 1)
    return left, top, right, bottom


def _shifted(centre: float, size: float, last: int) -> tuple[int, int]:
    start = min(max(centre - size / 2, 0.0), last - size) if size < last else 0.0
    return int(start), min(int(start + size), last)


def liveness_crop(pixels: Pixels, box: Box, liveness: LivenessSpec, size: InputSpec) -> Pixels:
    """The crop that one liveness model looks at, uint8 (height, width, 3) BGR, an array of its own.

    Its aspect ratio is not kept: the models were trained so.
    """
    left, top, right, bottom = crop_bounds(pixels.shape[1], pixels.shape[0], box, liveness.crop_scale)
    part = pixels[top : bottom + 1, left : right + 1]
    crop: Pixels = cv2.resize(part, (size.width, size.height), interpolation=cv2.INTER_LINEAR)
    return crop


class LivenessEnsemble:
    """Several liveness models whose mean probability decides.

    Args:
        members: model id -> its entry and prepared graph; at least one.
    """

    def __init__(self, members: Mapping[str, tuple[ModelEntry, InferenceSession]]) -> None:
        if not members:
            raise ConfigurationError("A liveness ensemble needs at least one model, got none.")
        self._members = dict(members)

    @property
    def models(self) -> tuple[str, ...]:
        """Ids of the models that vote."""
        return tuple(self._members)

    @property
    def providers(self) -> dict[str, str]:
        """Model id -> what runs it, of :attr:`models`."""
        return {model: session.provider for model, (_, session) in self._members.items()}

    def probabilities(self, crops: Sequence[Mapping[str, Pixels]]) -> list[dict[str, float]]:
        """Each model's probability, 0 to 1, that each face is a live person.

        Args:
            crops: per face: model id -> crop of :func:`liveness_crop`, for every one of :attr:`models`.

        Raises:
            ValueError: a face lacks a model's crop.
        """
        if missing := {model for face in crops for model in self._members if model not in face}:
            raise ValueError(f"expected crops for {', '.join(self._members)}; missing: {', '.join(sorted(missing))}")
        if not crops:
            return []
        votes = {
            model: self._vote(entry, session, np.stack([face[model] for face in crops]))
            for model, (entry, session) in self._members.items()
        }
        return [{model: float(vote[index]) for model, vote in votes.items()} for index in range(len(crops))]

    @staticmethod
    def _vote(entry: ModelEntry, session: InferenceSession, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        (logits,) = session.run(to_tensor(crops, entry.input))
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(exponentials[:, liveness_spec(entry).live_index] / exponentials.sum(axis=1), np.float32)


def liveness_spec(entry: ModelEntry) -> LivenessSpec:
    """How the model is used.

    Raises:
        ConfigurationError: it is no liveness model.
    """
    if entry.liveness is None:
        raise ConfigurationError(f"The model {entry.id!r} is a {entry.task}, not a liveness model.")
    return entry.liveness


def open_ensemble(settings: Settings) -> tuple[LivenessEnsemble | None, dict[str, str]]:
    """Load those of the configured liveness models that can be had.

    Returns:
        The ensemble, None without any model; and the missing models: id -> why.

    Raises:
        ConfigurationError: a model is not in the catalogue or no liveness model, or the wanted provider is missing.
    """
    catalogue, files = Catalogue.load(), ModelFiles(settings.model_dir, settings.model_cache_dir)
    members: dict[str, tuple[ModelEntry, InferenceSession]] = {}
    missing: dict[str, str] = {}
    for model in settings.liveness.models:
        entry = catalogue.get(model)
        liveness_spec(entry)
        try:
            members[model] = (entry, open_session(files, entry, settings.liveness.inference))
        except ModelFileError as error:
            missing[model] = error.message
    if missing:
        logger.warning("Liveness runs without %s: run 'facegraph models verify' for the reasons.", ", ".join(missing))
    return (LivenessEnsemble(members) if members else None), missing
