"""Keeping the process's log while pymilvus is imported."""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
from collections.abc import Iterator


@contextlib.contextmanager
def log_handlers_kept() -> Iterator[None]:
    """What buffers log records still hands them on after the block.

    Importing pymilvus calls :func:`logging.config.dictConfig`, which closes all handlers of the process. Those that
    write files open them again; a :class:`logging.handlers.MemoryHandler` has no target any more and swallows what it
    is given. Ray Serve's log of a replica goes through one.
    """
    loggers = [logging.root, *(each for each in logging.root.manager.loggerDict.values() if hasattr(each, "handlers"))]
    buffering = {
        handler: handler.target
        for logger in loggers
        for handler in logger.handlers
        if isinstance(handler, logging.handlers.MemoryHandler)
    }
    try:
        yield
    finally:
        for handler, target in buffering.items():
            handler.setTarget(target)
