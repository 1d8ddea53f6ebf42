"""Concurrent enrolment of many persons with a bounded number in progress."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

from serve_app.bulk.entries import Entry, Outcome


async def outcomes(
    entries: Iterator[Entry],
    enroll: Callable[[Entry], Awaitable[Outcome]],
    window: int,
    stop: threading.Event | None = None,
) -> AsyncIterator[Outcome]:
    """Enrol entries concurrently and yield each outcome when it is known.

    Args:
        entries: read only as far as there is room in the window.
        window: most entries in progress.
        stop: once set, no further entry is begun.

    Raises the first exception of ``enroll``, after the outcomes of the entries in progress.
    """
    running: set[asyncio.Task[Outcome]] = set()
    failure: BaseException | None = None
    try:
        while True:
            while failure is None and len(running) < window and not (stop and stop.is_set()):
                entry = next(entries, None)
                if entry is None:
                    break
                running.add(asyncio.ensure_future(enroll(entry)))
            if not running:
                break
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                if (error := task.exception()) is None:
                    yield task.result()
                else:
                    failure = failure or error
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    if failure is not None:
        raise failure
