"""The request that is being served: its id, its caller and, between processes, its trace.

One object per request in a context variable. It is created where the request enters the service, before the caller is
known, and the caller is filled in by authentication: frameworks run parts of a request in copies of its context, which
share the object. A call to a stage in another process carries a copy.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass

INTERNAL = "internal"
"""The caller without an API key: the Python handle, the command line, house-keeping."""

ACCEPTED_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
"""Ids chosen by clients that may be written into logs and headers; others are replaced."""


@dataclass(slots=True)
class RequestContext:
    """A request.

    Attributes:
        request_id: of the HTTP request or handle call, as the log and the answer have it; empty outside of requests.
        caller: ``key:`` and the id of an API key, or :data:`INTERNAL`.
        trace: headers of W3C Trace Context and Baggage, only on copies for other processes; None without a trace.
    """

    request_id: str = ""
    caller: str = INTERNAL
    trace: Mapping[str, str] | None = None


_current: ContextVar[RequestContext] = ContextVar("request context")


def current() -> RequestContext:
    """The request that is being served here; outside of requests an empty one."""
    return _current.get(None) or RequestContext()


def entered() -> bool:
    """Whether a request is being served here."""
    return _current.get(None) is not None


def enter(context: RequestContext) -> None:
    """Serve this request from now on in the current context (task or thread)."""
    _current.set(context)


def accepted_request_id(sent: bytes) -> str:
    """The value of a client's ``X-Request-ID`` if it may be used, otherwise a new id of 32 hex digits."""
    return sent.decode("ascii") if ACCEPTED_REQUEST_ID.fullmatch(sent) else uuid.uuid4().hex
