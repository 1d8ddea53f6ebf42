"""The outermost ASGI middleware: request ids, limits on body size, time and number of requests, and error responses.

Plain ASGI, because a middleware that wraps requests and responses into objects costs more than the whole native API.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

from fastapi import Request
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_app.api.admission_control import ALWAYS_ADMITTED
from serve_app.api.dialect import ErrorTranslation
from serve_app.api.errors import RequestTooLarge, error_response, internal_error
from serve_app.api.parameters import normalised, refuse_unreadable
from serve_app.api.places import Places, Visit, ended
from serve_app.api.request_limits import Bounds
from serve_app.errors import FacegraphError, RequestTimeout
from serve_app.observability.recent_statistics import RecentStatistics
from serve_app.request_context import RequestContext, accepted_request_id, enter

logger = logging.getLogger(__name__)

WATCHERS = frozenset({*ALWAYS_ADMITTED, "/", "/v1/status", "/v1/info"})
"""Paths that observe the service; they do not count as its traffic."""

BUFFERED_BYTES = 2**16
"""Bytes of an answer that the server takes at once, however slowly the client reads."""


class RequestGuard:
    """Gives each request its id, limits its body and time, refuses requests in an overload, and answers 500 for an
    unexpected exception.

    ``bounds`` is called for each request, because the settings are known only once the replica has its context.
    ``translate`` makes the response to an error that is raised here or reaches this layer. ``traffic`` counts requests,
    ``places`` those under way.
    """

    def __init__(
        self,
        app: ASGIApp,
        bounds: Callable[[], Bounds],
        translate: ErrorTranslation = error_response,
        traffic: RecentStatistics | None = None,
        places: Places | None = None,
    ) -> None:
        self._app = app
        self._bounds = bounds
        self._translate = translate
        self._places = places or Places()
        self._traffic = traffic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = request_id_of(scope)
        enter(RequestContext(request_id))
        scope = normalised(scope)
        headers = dict(scope["headers"])
        started = False
        status = 0
        began = time.perf_counter()
        counted = None if is_watching(scope) else self._traffic
        bounds = self._bounds()
        timer = asyncio.timeout(bounds.timeout_s)
        visit = Visit(self._places, bounds, headers.get(b"x-api-key", b""), timer)

        async def noted_send(message: Message) -> None:
            nonlocal started, status
            if message["type"] == "http.response.start":
                started = True
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
                visit.answer(_takes_time(message))
            await send(message)

        if counted:
            counted.in_flight += 1
        try:
            refuse_unreadable(scope)
            with visit:
                if scope["path"] not in ALWAYS_ADMITTED:
                    visit.arrive()
                length = headers.get(b"content-length", b"")
                placed = in_its_place(visit, receive, length, b"transfer-encoding" in headers)
                bounded = limited(placed, length, bounds.max_body_bytes)
                await self._within(timer, visit, scope, bounded, noted_send)
        except ClientDisconnect:
            logger.debug("request %s: the client disconnected", request_id)
        except Exception as error:
            if started:
                raise
            request = Request(scope)
            expected = error if isinstance(error, FacegraphError) else internal_error(request, error)
            response = self._translate(request, expected)
            await response(scope, receive, noted_send)
        finally:
            if counted:
                counted.in_flight -= 1
                if status:  # else the client disconnected, which counts neither as served nor as failed
                    served = status < 500 and status != 429
                    counted.add(time.perf_counter() - began if served else None, refused=status == 429)

    async def _within(self, timer: asyncio.Timeout, visit: Visit, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with timer:
                await self._app(scope, receive, send)
        except TimeoutError:
            if not timer.expired():
                raise
            if visit.ended:
                raise ended() from None
            raise RequestTimeout(
                f"The request was given up after {visit.bounds.timeout_s:g} s. "
                "A change that it requested was made completely or not at all; read the data to see which.",
                outcome="unknown",
            ) from None


def _takes_time(start: Message) -> bool:
    """Whether sending the answer depends on how its client reads: a stream, or more than the buffers hold."""
    for name, value in start["headers"]:
        if name == b"content-length":
            return int(value) > BUFFERED_BYTES
    return start["status"] not in (204, 304)  # these have no body


def is_watching(scope: Scope) -> bool:
    """Whether the request observes the service instead of using it."""
    return scope["path"] in WATCHERS or scope["path"].startswith("/console/")


def request_id_of(scope: Scope) -> str:
    """The id of an HTTP request: from its header or new. The first call decides and keeps it in the scope."""
    state: dict[str, Any] = scope.setdefault("state", {})
    if "request_id" not in state:
        sent = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
        scope["state"] = state = {**state, "request_id": accepted_request_id(sent)}
    return str(state["request_id"])


def in_its_place(visit: Visit, receive: Receive, content_length: bytes, chunked: bool) -> Receive:
    """A ``receive`` during which the request holds a place for its upload, and the bytes of its body.

    It raises Overloaded if there is none.
    """
    declared = int(content_length) if content_length.isdigit() else 0
    if not declared and not chunked:
        return receive
    waits, begun = True, False

    async def placed() -> Message:
        nonlocal waits, begun
        if not waits:
            return await receive()
        if not begun:
            begun = True
            visit.upload(declared)
        message = await receive()
        if message["type"] == "http.request":
            waits = message.get("more_body", False)
            visit.received(0 if declared else len(message.get("body", b"")), not waits)
        return message

    return placed


def limited(receive: Receive, content_length: bytes, limit: int) -> Receive:
    """A ``receive`` that raises RequestTooLarge when the body has more than ``limit`` bytes.

    It raises when the body is read, not before, so that the error gets the response of the request's dialect and a
    caller without a key gets the error about the key first.
    """
    declared = int(content_length) if content_length.isdigit() else 0
    received = 0

    async def bounded() -> Message:
        nonlocal received
        if declared <= limit:
            message = await receive()
            received += len(message.get("body", b""))
        if max(declared, received) > limit:
            raise RequestTooLarge(
                f"A request's body may have at most {limit} bytes; this one has {max(declared, received)} or more.",
                max_body_bytes=limit,
            )
        return message

    return bounded
