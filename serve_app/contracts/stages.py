"""Contracts of the detector, the liveness scorer and the embedder, and what all stages have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from serve_app.contracts.marks import batched, read
from serve_app.domain import Box, DetectedFace, Detection, DetectOptions, Liveness, Pixels, Vectors


class Stage(Protocol):
    """Methods of every stage."""

    @read
    async def ready(self) -> Mapping[str, Any]:
        """Facts about the running stage (model, provider, versions) as JSON-ready values.

        Raises Unavailable if the stage cannot serve; the message says why.
        """


class Detector(Stage, Protocol):
    """Compressed image in, faces out."""

    @read
    @batched
    async def detect(self, image: bytes, options: DetectOptions) -> Detection:
        """Decode, detect, align, assess quality.

        Raises ImageError: too large, not a supported format, damaged, too small.
        """

    @read
    async def liveness_crops(self, image: bytes, places: Sequence[tuple[Box, int]]) -> list[Mapping[str, Pixels]]:
        """Crops for the liveness scorer of faces that were detected on this image without them.

        ``places`` has box and ``turned`` of each face. Returns for each a mapping of model id to uint8 (height, width,
        3) BGR. Raises ImageError as :meth:`detect`.
        """


class LivenessScorer(Stage, Protocol):
    """Presentation attack detection."""

    @read
    @batched
    async def score(self, faces: Sequence[DetectedFace], threshold: float | None = None) -> list[Liveness]:
        """One result per face; the faces were detected with ``DetectOptions.liveness``, so that they carry crops.

        ``threshold`` is the probability from which a face counts as live, 0 to 1; None takes the configured one.
        Raises LivenessUnavailable if no liveness model is installed.
        """


class Embedder(Stage, Protocol):
    """Aligned crops in, templates out."""

    @read
    @batched
    async def embed(self, crops: Sequence[Pixels], model: str) -> Vectors:
        """Templates of n crops, uint8 (112, 112, 3) BGR each: float32 (n, dimension), rows of norm 1; n can be 0.

        Raises ConfigurationError if the catalogue has no such embedder, or its file is missing.
        """
