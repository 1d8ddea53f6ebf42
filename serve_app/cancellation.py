"""Work on threads that ends early when nobody waits for it any more: the client has left, or the time is over.

A thread cannot be stopped from outside. So work that can take long calls :func:`check_wanted` between its steps, and
:func:`in_thread` tells it when its caller was cancelled.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Executor
from contextvars import ContextVar, copy_context
from typing import Any, TypeVar

Result = TypeVar("Result")

_gone: ContextVar[threading.Event] = ContextVar("caller is gone")


class NotWanted(BaseException):  # not an Exception: no handler of errors on the way shall take it for one
    """Nobody waits for the work of this thread any more."""


def check_wanted() -> None:
    """Raise NotWanted if the caller of :func:`in_thread` was cancelled. Outside of such work it does nothing."""
    gone = _gone.get(None)
    if gone is not None and gone.is_set():
        raise NotWanted


async def in_thread(executor: Executor | None, work: Callable[..., Result], *args: Any) -> Result:
    """Run ``work`` on a thread. Once the caller is cancelled, it is not begun, or ends at its next check.

    ``executor`` has the threads; None stands for those of :func:`asyncio.to_thread`.
    """
    gone = threading.Event()
    pending = [args]

    def begin() -> Result:
        return work(*pending.pop())

    context = copy_context()
    context.run(_gone.set, gone)
    try:
        return await asyncio.get_running_loop().run_in_executor(executor, context.run, begin)
    except asyncio.CancelledError:
        gone.set()
        pending.clear()  # the executor keeps what was not begun until a thread comes to it
        raise
