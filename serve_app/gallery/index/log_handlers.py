"""Keeps the process's log handlers working when pymilvus is imported."""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
from collections.abc import Iterator


@contextlib.contextmanager
def log_handlers_kept() -> Iterator[None]:
    """Restore, at the end of the block, the targets of handlers that buffer log records.

    Importing pymilvus calls :func:`logging.config.dictConfig`, which closes all handlers of the process. Handlers that
    write files open them again. A :class:`logging.handlers.MemoryHandler` loses its target and then discards every
    record. Ray Serve's log of a replica goes through such a handler.
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
