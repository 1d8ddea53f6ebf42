"""A work-conserving dynamic batcher.

The next batch is formed at the moment the executor is free, from all items that wait then: an idle stage serves a
single item at once, a busy one fills its batches, and there is no waiting time to tune. (Ray Serve's ``@serve.batch``
forms batches by the clock while one is running, which leaves them small whenever inference takes longer than its wait.)
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from serve_app.errors import Overloaded, Unavailable
from serve_app.observability import tracing

Item = TypeVar("Item")
Result = TypeVar("Result")

BatchObserver = Callable[[int, float, float, int], None]
"""Called after each batch with its size, the seconds that its oldest item waited, the seconds that it ran, and the
number of items that wait now."""


@dataclass(slots=True)
class _Waiting(Generic[Item, Result]):
    item: Item
    future: asyncio.Future[Result]
    since: float
    moment: Any  # position in the caller's trace


class Batcher(Generic[Item, Result]):
    """Collects items from concurrent callers and runs them together.

    Args:
        run: takes a list of 1 to ``max_batch`` items and returns as many results; called on the batcher's threads.
            Its exception reaches every caller of that batch, so items must be validated before.
        max_batch: most items in one call.
        max_queue: most items that wait; more are refused with ``Overloaded``.
        name: name of the stage, for error messages and threads.
        workers: batches that run at the same time.
        observer: called after each batch.

    A batcher belongs to the event loop that runs during the first :meth:`submit`.
    """

    def __init__(
        self,
        run: Callable[[list[Item]], Sequence[Result]],
        *,
        max_batch: int,
        max_queue: int,
        name: str,
        workers: int = 1,
        observer: BatchObserver | None = None,
    ) -> None:
        self._run, self._name, self._observer = run, name, observer
        self._max_batch, self._max_queue = max_batch, max_queue
        self._queue: deque[_Waiting[Item, Result]] = deque()
        self._workers = workers
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix=name)
        self._consumers: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def waiting(self) -> int:
        """Items in the queue, not counting the batches that are running."""
        return len(self._queue)

    async def submit(self, items: Sequence[Item]) -> list[Result]:
        """Results for the items, in their order. They can run in several batches, together with other callers' items.

        Raises Overloaded if the queue has no room for all of them (none is taken); Unavailable if the batcher was
        closed.
        """
        if self._closed:
            raise Unavailable(f"The {self._name} is shutting down.")
        if not items:
            return []
        # A call with more items than the queue holds is accepted when nothing waits, or it could never be served.
        if self._queue and len(self._queue) + len(items) > self._max_queue:
            text = f"The {self._name} has {len(self._queue)} faces waiting; try again in 1 s."
            raise Overloaded(text, retry_after_s=1)
        loop = asyncio.get_running_loop()
        now, moment = time.perf_counter(), tracing.here()
        waiting = [_Waiting[Item, Result](item, loop.create_future(), now, moment) for item in items]
        self._queue.extend(waiting)
        self._start_consumers(loop)
        try:
            return await asyncio.gather(*(entry.future for entry in waiting))
        finally:
            # After a caller's cancellation, or one item's failure, the results of the other items are not needed.
            for entry in waiting:
                entry.future.cancel()

    async def close(self) -> None:
        """Refuse new items, fail waiting ones with ``Unavailable``, let running batches end. Can be called twice."""
        self._closed = True
        while self._queue:
            entry = self._queue.popleft()
            if not entry.future.done():
                entry.future.set_exception(Unavailable(f"The {self._name} is shutting down."))
        for consumer in self._consumers:
            with contextlib.suppress(asyncio.CancelledError):
                await consumer
        self._executor.shutdown(wait=True)

    def _start_consumers(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start one consumer per waiting batch, up to the number of workers."""
        self._consumers = {consumer for consumer in self._consumers if not consumer.done()}
        batches = -(-len(self._queue) // self._max_batch)
        for _ in range(min(batches, self._workers - len(self._consumers))):
            self._consumers.add(loop.create_task(self._consume(), name=f"{self._name}-batcher"))

    async def _consume(self) -> None:
        while batch := self._next_batch():
            started = time.perf_counter()
            try:
                results = await asyncio.get_running_loop().run_in_executor(
                    self._executor, self._run, [entry.item for entry in batch]
                )
                if len(results) != len(batch):
                    raise RuntimeError(f"{self._name}: {len(batch)} items went in, {len(results)} results came out")
            except Exception as error:
                for entry in batch:
                    if not entry.future.done():
                        entry.future.set_exception(error)
                continue
            ended = time.perf_counter()
            if self._observer is not None:
                self._observer(len(batch), started - batch[0].since, ended - started, len(self._queue))
            tracing.batch(f"{self._name} batch", [entry.moment for entry in batch], started, ended)
            for entry, result in zip(batch, results, strict=True):
                if not entry.future.done():
                    entry.future.set_result(result)

    def _next_batch(self) -> list[_Waiting[Item, Result]]:
        batch: list[_Waiting[Item, Result]] = []
        while self._queue and len(batch) < self._max_batch:
            entry = self._queue.popleft()
            if not entry.future.done():  # done if its caller was cancelled
                batch.append(entry)
        return batch
