"""Presentation attack detection from a single image: the mean probability of several small classifiers."""

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
    """Bounds of the part of an image that a liveness model reads.

    The box is enlarged about its centre by ``crop_scale``, or less where the image is smaller, then shifted (not
    padded) back into the image: the rule that the MiniFASNets were trained with.

    The image has at least 1 pixel; the box can extend beyond it. Returns first column, first row, last column, last row
    (inclusive), all inside the image.
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
    """The input crop of one liveness model: uint8 (height, width, 3) BGR, a new array.

    The aspect ratio is not kept, as in the models' training.
    """
    left, top, right, bottom = crop_bounds(pixels.shape[1], pixels.shape[0], box, liveness.crop_scale)
    part = pixels[top : bottom + 1, left : right + 1]
    crop: Pixels = cv2.resize(np.ascontiguousarray(part), (size.width, size.height), interpolation=cv2.INTER_LINEAR)
    return crop


class LivenessEnsemble:
    """Several liveness models whose mean probability decides.

    ``members`` maps model ids to catalogue entries and sessions. Raises ConfigurationError if it is empty.
    """

    def __init__(self, members: Mapping[str, tuple[ModelEntry, InferenceSession]]) -> None:
        if not members:
            raise ConfigurationError("A liveness ensemble needs at least one model, got none.")
        self._members = dict(members)

    @property
    def models(self) -> tuple[str, ...]:
        """Ids of the ensemble's models."""
        return tuple(self._members)

    @property
    def providers(self) -> dict[str, str]:
        """Model id -> execution provider, for each of :attr:`models`."""
        return {model: session.provider for model, (_, session) in self._members.items()}

    def probabilities(self, crops: Sequence[Mapping[str, Pixels]]) -> list[dict[str, float]]:
        """Probabilities that faces show a live person.

        ``crops`` has for each face a mapping of model id to the crop of :func:`liveness_crop`, for each of
        :attr:`models`; the result a mapping of model id to the probability, 0 to 1. Raises ValueError if a face lacks
        a model's crop.
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


def combined(votes: Mapping[str, float]) -> float:
    """The ensemble's probability of a live person: the mean of those of its models."""
    return sum(votes.values()) / len(votes)


def liveness_spec(entry: ModelEntry) -> LivenessSpec:
    """The liveness part of a catalogue entry. Raises ConfigurationError if the entry is not a liveness model."""
    if entry.liveness is None:
        raise ConfigurationError(f"The model {entry.id!r} is a {entry.task}, not a liveness model.")
    return entry.liveness


def open_ensemble(settings: Settings) -> tuple[LivenessEnsemble | None, dict[str, str]]:
    """Load the configured liveness models whose files are available.

    Returns the ensemble, None if no model could be loaded; and the missing models: id -> reason.

    Raises ConfigurationError if a model is not in the catalogue or is not a liveness model, or the configured provider
    is missing.
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
