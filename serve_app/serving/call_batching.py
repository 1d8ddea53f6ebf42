"""Calls of a stage in another process that have to wait are sent together.

A call between processes takes milliseconds of processor time beside what the stage computes, for the call and hardly
for what it carries. As long as a stage has fewer calls under way than its deployment is meant for at its largest size,
each is sent at once and alone: Serve's autoscaler, which counts calls, sees them all and adds replicas. Beyond that
there are none to add, and those that wait are sent as one when another has ended: the more there is to do, the less of
it is spent on sending. Nobody waits by the clock.
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
"""Sent together at most: they have their answers when the last of them has."""

MOST_BYTES = 2**20
"""Of pictures sent together: a photograph as cameras make it goes alone, and small ones do not wait for it."""


@dataclass(frozen=True, slots=True)
class Call:
    """Arguments of one call of a method."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    @property
    def weight(self) -> int:
        """Bytes of the pictures that it carries, compressed ones or crops."""
        pictures = (arg if isinstance(arg, list | tuple) else [arg] for arg in self.args)
        return sum(len(p) if isinstance(p, bytes) else getattr(p, "nbytes", 0) for each in pictures for p in each)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one of several calls: its result, or what it raised."""

    value: Any = None
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class _Waiting:
    call: Call
    future: asyncio.Future[Any]
    context: Context


class CallBatcher:
    """The calls of one method.

    Args:
        alone: makes one call.
        together: makes several and returns their outcomes in the same order. Its exception reaches all callers.
        limit: calls under way, alone or together, from which on others wait.

    Not thread-safe: it belongs to one event loop.
    """

    def __init__(
        self,
        alone: Callable[..., Awaitable[Any]],
        together: Callable[[Sequence[Call]], Awaitable[Sequence[Outcome]]],
        limit: int,
    ) -> None:
        self._alone = alone
        self._together = together
        self._limit = limit
        self._under_way = 0
        self._waiting: deque[_Waiting] = deque()
        self._tasks: set[asyncio.Task[None]] = set()

    async def call(self, *args: Any, **kwargs: Any) -> Any:
        """Make this call; what it returns or raises."""
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
            # In the first one's context: its request id is in what Ray logs of the call.
            task = asyncio.get_running_loop().create_task(self._send(group), context=group[0].context)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            for waiting in group:
                waiting.future.add_done_callback(partial(self._left, task, group))

    @staticmethod
    def _left(task: asyncio.Task[None], group: Sequence[_Waiting], future: asyncio.Future[Any]) -> None:
        """Give up what nobody waits for any more: it may be on its way to a machine that will never answer."""
        if all(waiting.future.cancelled() for waiting in group):
            task.cancel()

    def _next(self) -> list[_Waiting]:
        group: list[_Waiting] = []
        weight = 0
        while self._waiting and len(group) < MOST_CALLS:
            if self._waiting[0].future.done():  # its caller has gone away
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
                raise RuntimeError(f"{len(group)} calls were made, {len(outcomes)} outcomes came back")
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
