"""The metrics that stages record, kept in memory instead of exported."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from serve_app.domain import DetectOptions
from serve_app.errors import ImageUndecodable, NoFaceDetected
from serve_app.observability.metrics import COUNT_BOUNDS, UNEXPECTED, Metrics
from serve_app.settings import Settings
from serve_app.stages.detector import DetectorStage
from serve_app.stages.embedder import EmbedderStage
from serve_app.stages.liveness import LivenessStage
from tests import photos


class Recorder(Metrics):
    """Keeps what it is told."""

    def __init__(self, stage: str) -> None:
        super().__init__(stage)
        self.told: list[tuple[Any, ...]] = []

    def operation_seconds(self, name: str, seconds: float) -> None:
        self.told.append(("seconds", name, seconds >= 0))

    def operation_failed(self, name: str, error: str) -> None:
        self.told.append(("failed", name, error))

    def batch(self, size: int, waited: float, ran: float, left: int) -> None:
        self.told.append(("batch", size, waited >= 0, ran > 0, left))

    def model(self, model: str, provider: str) -> None:
        self.told.append(("model", model, provider))

    def faces(self, count: int) -> None:
        self.told.append(("faces", count))

    def outcomes(self, outcomes: Iterable[str]) -> None:
        self.told.append(("outcomes", *outcomes))


@pytest.mark.parametrize("number", range(5))
def test_small_numbers_are_exported_as_they_are(number: int) -> None:
    """A queue with nothing in it is 0 on the dashboard: Ray sums up the midpoints of the buckets."""
    bucket = bisect_left(COUNT_BOUNDS, number)
    middle = (COUNT_BOUNDS[bucket] + (COUNT_BOUNDS[bucket - 1] if bucket else 0)) / 2
    assert middle == pytest.approx(number, abs=0.001)


@pytest.mark.parametrize(("error", "code"), [(NoFaceDetected("none"), "face_not_found"), (KeyError(), UNEXPECTED)])
def test_a_failed_operation_is_timed_and_counted(error: Exception, code: str) -> None:
    recorder = Recorder("embedder")
    with pytest.raises(type(error)), recorder.operation("embed"):
        raise error
    assert recorder.told == [("failed", "embed", code), ("seconds", "embed", True)]


def test_the_detector_and_the_liveness_scorer_tell_what_they_did(tmp_path: Path) -> None:
    photos.need_liveness()
    recorders: dict[str, Recorder] = {}
    votes: list[str] = []

    def recorder(stage: str) -> Recorder:
        return recorders.setdefault(stage, Recorder(stage))

    async def run() -> None:
        settings = Settings(data_dir=tmp_path, model_dir=photos.model_dir())
        detector, liveness = DetectorStage(settings, recorder), LivenessStage(settings, recorder)
        votes.extend((await liveness.ready())["models"])
        try:
            found = await detector.detect(photos.astronaut(), DetectOptions(liveness=True))
            with pytest.raises(ImageUndecodable):
                await detector.detect(photos.astronaut()[:2000], DetectOptions())
            for threshold, outcome in ((0.01, "live"), (0.9999, "spoof")):
                await liveness.score(found.faces, threshold)
                assert recorders["liveness"].told[-1] == ("outcomes", outcome)
        finally:
            await detector.close()
            await liveness.close()

    asyncio.run(run())
    told = recorders["liveness"].told
    assert ("batch", 1, True, True, 0) in told
    assert [entry for entry in told if entry[0] == "model"] == [("model", model, "cpu") for model in votes]
    assert recorders["detector"].told == [
        ("model", Settings().detector.model, "cpu"),
        ("seconds", "detect", True),
        ("faces", 1),
        ("failed", "detect", ImageUndecodable.code),
        ("seconds", "detect", True),
    ]


def test_each_model_is_told_of_when_it_is_opened(tmp_path: Path) -> None:
    recorder = Recorder("embedder")

    async def run() -> None:
        embedder = EmbedderStage(Settings(data_dir=tmp_path, model_dir=photos.model_dir()), lambda _: recorder)
        assert recorder.told == [("model", "sface-2021dec", "cpu")]
        await embedder.embed([], "sface-2021dec")
        assert len(recorder.told) == 1
        await embedder.close()

    asyncio.run(run())
