"""Waiting for a condition with a time limit that suffices on a busy machine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

PATIENCE_S = 180


async def until(condition: Callable[[], object]) -> None:
    """Looks again and again for :data:`PATIENCE_S` at most."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.005)


def await_true(condition: Callable[[], bool], words: str) -> None:
    """As :func:`until`, without an event loop; ``words`` say what did not happen."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"not even after {PATIENCE_S} s: {words}"
        time.sleep(0.02)
