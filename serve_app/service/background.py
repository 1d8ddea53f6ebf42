"""Background tasks of a service."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine


class Background:
    """One asyncio task that does the work ``run`` until it is closed, which cancels it at the point where it waits."""

    def __init__(self, run: Callable[[], Coroutine[None, None, None]], name: str) -> None:
        self._run, self._name = run, name
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the task on the running event loop. A second call does nothing."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name=self._name)

    async def close(self) -> None:
        """Cancel the task and wait until it has ended."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
