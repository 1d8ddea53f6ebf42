"""Waiting for a condition with a time limit that suffices on a busy machine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def until(condition: Callable[[], object]) -> None:
    """Looks again and again for two minutes at most."""
    async with asyncio.timeout(120):
        while not condition():
            await asyncio.sleep(0.005)
