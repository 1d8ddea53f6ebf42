"""Where bodies are parsed: short ones on the event loop, longer ones in threads of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

MOST_ON_LOOP = 100_000
"""Bytes or characters that are parsed on the event loop. Base64 of this length takes 0.1 ms, which is what the way to a
thread and back takes on a busy machine; the image in a longer one takes a hundred times as long to analyse."""

_threads = ThreadPoolExecutor(2, "parsing")  # parsing holds Python's lock most of the time: more would not be faster


async def parsed(size: int, parse: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """``parse(*args, **kwargs)``, which reads ``size`` bytes or characters."""
    if size <= MOST_ON_LOOP:
        return parse(*args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(_threads, partial(parse, *args, **kwargs))
