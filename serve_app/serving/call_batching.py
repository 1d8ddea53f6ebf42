"""Batching of calls to stages in other processes: calls that must wait are sent together.

A call between processes costs milliseconds of processor time besides the stage's work, almost independent of the size
of its arguments. While a stage has fewer ongoing calls than its deployment handles at its largest size, each call is
sent immediately and separately: Serve's autoscaler counts calls, sees them all and adds replicas. Beyond that there are
no replicas to add; further calls wait until a call ends and are then sent as one. So the share of time spent on sending
falls as the load grows, and there is no waiting time to tune.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass
from functools import partial
from typing import Any

MOST_CALLS = 16
"""Most calls in one batch; all get their results when the last one is done."""

MOST_BYTES = 2**20
"""Most bytes of images in one batch: a full-size photograph is sent separately, so that small images do not wait for
it."""


@dataclass(frozen=True, slots=True)
class Call:
    """Arguments of one call of a method."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    @property
    def weight(self) -> int:
        """Bytes of the images among the arguments, compressed images or crops."""
        images = (arg if isinstance(arg, list | tuple) else [arg] for arg in self.args)
        return sum(len(i) if isinstance(i, bytes) else getattr(i, "nbytes", 0) for each in images for i in each)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Outcome of one call of a batch: its result, or the exception that it raised."""

    value: Any = None
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class _Waiting:
    call: Call
    future: asyncio.Future[Any]
    context: Context


class CallBatcher:
    """Batches the calls of one method. Not thread-safe: it belongs to one event loop.

    Args:
        alone: makes one call.
        together: makes several calls and returns their outcomes in the same order. Its exception reaches all callers.
        limit: number of ongoing calls and batches from which further calls wait.
    """

    def __init__(
        self,
        alone: Callable[..., Awaitable[Any]],
        together: Callable[[Sequence[Call]], Awaitable[Sequence[Outcome]]],
        limit: int,
    ) -> None:
        self._alone, self._together, self._limit = alone, together, limit
        self._under_way = 0
        self._waiting: deque[_Waiting] = deque()
        self._tasks: set[asyncio.Task[None]] = set()

    async def call(self, *args: Any, **kwargs: Any) -> Any:
        """Make a call; returns its result or raises its exception."""
        if self._under_way < self._limit:
            self._under_way += 1
            try:
                return await self._alone(*args, **kwargs)
            finally:
                self._ended()
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(Call(args, kwargs), future, copy_context()))
        return await future

    def _ended(self) -> None:
        self._under_way -= 1
        group = self._next()
        if group:
            self._under_way += 1
            # Sent in the context of the first call, whose request id then appears in Ray's log.
            task = asyncio.get_running_loop().create_task(self._send(group), context=group[0].context)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            for waiting in group:
                waiting.future.add_done_callback(partial(self._left, task, group))

    @staticmethod
    def _left(task: asyncio.Task[None], group: Sequence[_Waiting], future: asyncio.Future[Any]) -> None:
        """Cancel a batch once all its callers were cancelled: it might be sent to a machine that never answers."""
        if all(waiting.future.cancelled() for waiting in group):
            task.cancel()

    def _next(self) -> list[_Waiting]:
        group: list[_Waiting] = []
        weight = 0
        while self._waiting and len(group) < MOST_CALLS:
            if self._waiting[0].future.done():  # its caller was cancelled
                self._waiting.popleft()
                continue
            weight += self._waiting[0].call.weight
            if group and weight > MOST_BYTES:
                break
            group.append(self._waiting.popleft())
        return group

    async def _send(self, group: Sequence[_Waiting]) -> None:
        try:
            outcomes = await self._together([waiting.call for waiting in group])
            if len(outcomes) != len(group):
                raise RuntimeError(f"expected {len(group)} outcomes, one per call, got {len(outcomes)}")
        except Exception as error:
            outcomes = [Outcome(error=error)] * len(group)
        finally:
            self._ended()
        for waiting, outcome in zip(group, outcomes, strict=True):
            if waiting.future.done():
                continue
            if outcome.error is not None:
                waiting.future.set_exception(outcome.error)
            else:
                waiting.future.set_result(outcome.value)
