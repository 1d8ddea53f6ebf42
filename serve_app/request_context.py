"""Who asks: known at the door, needed where the audit log is written.

One object a request, in a context variable. The door makes it before it knows the key and fills it in, because
frameworks run parts of a request in copies of its context. A stage in another process is told with the call.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass

INTERNAL = "internal"
"""The Python handle, the command line, house-keeping: whoever needs no key."""


@dataclass(slots=True)
class Caller:
    """``actor`` is ``key:`` and the id of an API key, or :data:`INTERNAL`."""

    actor: str = INTERNAL


_current: ContextVar[Caller] = ContextVar("caller")


def current() -> Caller:
    """Who asks for what is done here."""
    return _current.get(None) or Caller()


def become(caller: Caller) -> None:
    """Everything that follows in this context is asked for by this caller."""
    _current.set(caller)
