"""Large pictures are worked on one after another, beside ordinary ones."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest

from serve_app.domain import DetectOptions, ImageInfo, Pixels
from serve_app.settings import DetectorSettings, Limits, Settings
from serve_app.stages.detector import DetectorStage
from serve_app.vision import image, turns
from serve_app.vision.cpu_slots import CpuSlots
from serve_app.vision.image import encode_jpeg
from tests import photos
from tests.waiting import PATIENCE_S, until

SIDE = 2000
MAIN = DetectOptions(max_faces=1)
LARGE = encode_jpeg(np.zeros((SIDE, SIDE, 3), np.uint8))


class Gate:
    """Stands for the decoder; of pictures of SIDE pixels each is held until it is let go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun = self.at_once = self.most = 0
        self._passes = threading.Semaphore(0)
        self._decode = image._decoded
        monkeypatch.setattr(image, "_decoded", self._held)

    def let_go_on(self, number: int = 1) -> None:
        self._passes.release(number)

    def _held(self, data: bytes, size: tuple[int, int], mode: int) -> Pixels | None:
        if max(size) == SIDE:
            self.begun += 1
            self.at_once += 1
            self.most = max(self.most, self.at_once)
            assert self._passes.acquire(timeout=PATIENCE_S)
            self.at_once -= 1
        return self._decode(data, size, mode)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    monkeypatch.setattr("serve_app.vision.face_analyser.SEARCHED_BESIDE", SIDE * SIDE - 1)
    monkeypatch.setattr("serve_app.stages.detector.PROCESS_SLOTS", CpuSlots(2))
    return Gate(monkeypatch)


@asynccontextmanager
async def open_stage(gate: Gate) -> AsyncIterator[DetectorStage]:
    stage = DetectorStage(Settings(model_dir=photos.model_dir(), detector=DetectorSettings(workers=1)))
    try:
        yield stage
    finally:
        gate.let_go_on(100)
        await stage.close()


def test_large_pictures_are_read_one_after_another_and_others_beside_them(gate: Gate) -> None:
    async def scenario() -> None:
        async with open_stage(gate) as stage:
            large = [asyncio.create_task(stage.detect(LARGE, DetectOptions(every=True))) for _ in range(3)]
            await until(lambda: gate.begun == 1)
            for _ in range(2):  # the stage has one thread for these: no large picture has it
                assert len((await stage.detect(photos.astronaut(), MAIN)).faces) == 1
            assert gate.begun == 1
            gate.let_go_on(3)
            await asyncio.gather(*large)
            assert (gate.begun, gate.most) == (3, 1)

    asyncio.run(scenario())


def test_one_that_waits_and_is_given_up_leaves_at_once(gate: Gate) -> None:
    freed = threading.Event()

    class File(bytes):
        """Bytes that tell when they are freed."""

        def __del__(self) -> None:
            freed.set()

    async def scenario() -> None:
        async with open_stage(gate) as stage:
            first = asyncio.create_task(stage.detect(LARGE, DetectOptions(every=True)))
            await until(lambda: gate.begun == 1)
            file = File(LARGE)
            waiting = asyncio.create_task(stage.detect(file, DetectOptions(every=True)))
            del file
            await until(lambda: stage._in_turn._work_queue.qsize() == 1)
            waiting.cancel()
            await asyncio.wait([waiting])
            assert waiting.cancelled()
            del waiting  # it has the frames of its end
            gc.collect()
            assert freed.is_set(), "its file is still in memory"
            gate.let_go_on(3)
            await first
            assert gate.begun == 1

    asyncio.run(scenario())


def test_a_jpeg_counts_with_the_size_that_it_is_decoded_at() -> None:
    def read(long_side: int) -> tuple[ImageInfo, Pixels]:
        return turns.beside_others(
            lambda: image.read_image(LARGE, Limits(), long_side=long_side, beside=SIDE * SIDE - 1)
        )

    assert read(SIDE // 2)[1].shape == (SIDE // 2, SIDE // 2, 3)
    with pytest.raises(turns.LargePicture):
        read(0)
