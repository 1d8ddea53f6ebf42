"""The liveness stage: real models vote, and their mean is compared with the threshold that was asked for."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from serve_app.domain import Box, DetectedFace, Quality
from serve_app.errors import LivenessUnavailable
from serve_app.settings import Inference, Settings
from serve_app.stages.liveness import LivenessStage
from serve_app.vision.align import CROP_SIDE, REFERENCE
from serve_app.vision.catalogue import Catalogue
from tests import photos

MODELS = ("minifasnet-v2", "minifasnet-v1se")


def face(seed: int) -> DetectedFace:
    """A face whose liveness crops are noise, about which the models disagree."""
    rng = np.random.default_rng(seed)
    inputs = {model: Catalogue.load().get(model).input for model in MODELS}
    crops = {
        model: rng.integers(0, 256, (size.height, size.width, 3), np.uint8) // (seed + 1)
        for model, size in inputs.items()
    }
    box = Box(0.0, 0.0, 100.0, 100.0)
    pixels = np.zeros((CROP_SIDE, CROP_SIDE, 3), np.uint8)
    return DetectedFace(box, REFERENCE, 1.0, Quality(0.9, 500.0, 120.0, 40.0, 0.0, 0.0), pixels, crops)


def test_the_mean_of_the_models_is_compared_with_the_threshold(tmp_path: Path) -> None:
    if photos.model_dir() is None:
        pytest.skip("../shared/models is not there")
    inference = Inference(provider="cpu", threads=1)
    settings = Settings(
        model_dir=photos.model_dir(), data_dir=tmp_path, liveness={"models": MODELS, "inference": inference}
    )

    async def scenario() -> None:
        stage = LivenessStage(settings)
        faces = [face(seed) for seed in range(3)]
        scored = await stage.score(faces)
        for each in scored:
            votes = [each.models[model] for model in MODELS]
            assert votes[0] != votes[1]
            assert each.probability == pytest.approx(sum(votes) / 2)
            assert each.threshold == settings.liveness.threshold
        wanted = scored[1].probability
        strict = await stage.score(faces, wanted)
        assert [each.is_live for each in strict] == [each.probability >= wanted for each in scored]
        assert {each.threshold for each in strict} == {wanted}
        await stage.close()

    asyncio.run(scenario())


def test_without_a_model_nobody_is_live(tmp_path: Path) -> None:
    async def scenario() -> None:
        stage = LivenessStage(Settings(model_dir=tmp_path, data_dir=tmp_path, liveness={"models": ()}))
        with pytest.raises(LivenessUnavailable):
            await stage.score([face(1)])
        await stage.close()

    asyncio.run(scenario())
