"""Context of the current request: its id, its caller and, between processes, its trace.

There is one object per request, in a context variable. It is created where the request enters the service, before the
caller is known; authentication fills the caller in. This works because frameworks run parts of a request in copies of
its context, which share the object. A call to a stage in another process carries a copy of the object.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass

INTERNAL = "internal"
"""The caller of requests without an API key: the Python handle, the command line, background work."""

ACCEPTED_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
"""Request ids of clients that may be written into logs and headers; others are replaced."""


Carrier = Mapping[str, str]
"""Trace context that is sent to another process: the headers of W3C Trace Context and Baggage."""


@dataclass(slots=True)
class RequestContext:
    """Context of one request.

    Attributes:
        request_id: id of the HTTP request or handle call, as in the log and the response; empty outside of requests.
        caller: ``key:`` and the id of an API key, or :data:`INTERNAL`.
        trace: only on copies for other processes; None without a trace.
    """

    request_id: str = ""
    caller: str = INTERNAL
    trace: Carrier | None = None


_current: ContextVar[RequestContext] = ContextVar("request context")


def current() -> RequestContext:
    """The current request context; outside of requests an empty one."""
    return _current.get(None) or RequestContext()


def entered() -> bool:
    """Whether there is a current request."""
    return _current.get(None) is not None


def enter(context: RequestContext) -> None:
    """Make ``context`` the current request of this task or thread."""
    _current.set(context)


def accepted_request_id(sent: bytes) -> str:
    """The value of a client's ``X-Request-ID`` if it is acceptable, otherwise a new id of 32 hex digits."""
    return sent.decode("ascii") if ACCEPTED_REQUEST_ID.fullmatch(sent) else uuid.uuid4().hex
