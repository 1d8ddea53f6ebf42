"""Pictures whose caller has left: those that wait are not decoded, and the one that is decoded is not analysed."""

from __future__ import annotations

import asyncio
import time
from unittest import mock

import pytest

from serve_app.domain import DetectOptions
from serve_app.settings import DetectorSettings, Settings
from serve_app.stages.detector import DetectorStage
from serve_app.vision import image
from tests import photos
from tests.hostile_files import many_scans
from tests.waiting import until

MOST_S = 2.0
DEAR = many_scans(6320, 24)[:-2]
"""It lacks its end, so that it is decoded five times."""


def test_a_picture_that_was_given_up_is_not_read_on(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = mock.Mock(wraps=image._decoded)
    monkeypatch.setattr(image, "_decoded", decoded)
    settings = Settings(model_dir=photos.model_dir(), detector=DetectorSettings(workers=1))

    async def scenario() -> None:
        stage = DetectorStage(settings)
        try:
            options = DetectOptions(every=True)
            callers = [asyncio.create_task(stage.detect(DEAR, options)) for _ in range(5)]
            await until(lambda: decoded.called)
            for caller in callers:
                caller.cancel()
            await asyncio.gather(*callers, return_exceptions=True)
            began = time.process_time()
            found = await stage.detect(photos.astronaut(), DetectOptions())
            assert time.process_time() - began < MOST_S
            assert len(found.faces) == 1
            assert decoded.call_count <= 4, "the first one at most twice, and the astronaut at most twice"
        finally:
            await stage.close()

    asyncio.run(scenario())
