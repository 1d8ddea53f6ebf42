"""The outermost ASGI middleware: request ids, limits on body size, time and number of requests, and error responses.

Plain ASGI, because a middleware that wraps requests and responses into objects costs more than the whole native API.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from fastapi import Request
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_app.api.admission_control import ALWAYS_ADMITTED, Admission
from serve_app.api.dialect import ErrorTranslation
from serve_app.api.errors import RequestTooLarge, error_response, internal_error
from serve_app.api.key_limits import request_scope
from serve_app.api.parameters import normalised, refuse_unreadable
from serve_app.errors import FacegraphError, Overloaded, RequestTimeout
from serve_app.observability.recent_statistics import RecentStatistics
from serve_app.request_context import RequestContext, accepted_request_id, enter

logger = logging.getLogger(__name__)

WATCHERS = frozenset({*ALWAYS_ADMITTED, "/", "/v1/status", "/v1/info"})
"""Paths that observe the service; they do not count as its traffic."""

WITHOUT_BODY = frozenset({"GET", "HEAD", "OPTIONS", "DELETE"})
"""Methods whose handlers need not read the body, so that work starts at once; a body that is read is small."""


class Bounds(NamedTuple):
    """Limits of one request, and of all concurrent requests."""

    max_body_bytes: int
    max_in_flight: int
    overload_in_flight: int
    timeout_s: float


class RequestGuard:
    """Gives each request its id, limits its body and time, refuses requests in an overload, and answers 500 for an
    unexpected exception.

    ``bounds`` is called for each request, because the settings are known only once the replica has its context.
    ``translate`` makes the response to an error that is raised here or reaches this layer. ``traffic`` counts requests.
    """

    def __init__(
        self,
        app: ASGIApp,
        bounds: Callable[[], Bounds],
        translate: ErrorTranslation = error_response,
        traffic: RecentStatistics | None = None,
    ) -> None:
        self._app = app
        self._bounds = bounds
        self._translate = translate
        self._admission = Admission()
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

        async def send_with_id(message: Message) -> None:
            nonlocal started, status
            if message["type"] == "http.response.start":
                started = True
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            await send(message)

        bounds = self._bounds()
        bounded = limited(receive, headers.get(b"content-length", b""), bounds.max_body_bytes)
        if counted:
            counted.in_flight += 1
        try:
            refuse_unreadable(scope)
            if scope["path"] in ALWAYS_ADMITTED:
                await self._within(bounds.timeout_s, scope, bounded, send_with_id)
            else:
                with self._admitted(scope, bounded, bounds) as admitted:
                    await self._within(bounds.timeout_s, scope, admitted, send_with_id)
        except ClientDisconnect:
            logger.debug("request %s: the client disconnected", request_id)
        except Exception as error:
            if started:
                raise
            request = Request(scope)
            expected = error if isinstance(error, FacegraphError) else internal_error(request, error)
            response = self._translate(request, expected)
            await response(scope, receive, send_with_id)
        finally:
            if counted:
                counted.in_flight -= 1
                if status:  # else the client disconnected, which counts neither as served nor as failed
                    served = status < 500 and status != 429
                    counted.add(time.perf_counter() - began if served else None, refused=status == 429)

    @contextmanager
    def _admitted(self, scope: Scope, receive: Receive, bounds: Bounds) -> Iterator[Receive]:
        """Admit a request while the scope lasts. Yields a ``receive`` that raises Overloaded if no work may start."""
        admission, few = self._admission, bounds.overload_in_flight
        _refuse_unless(admission.enter(bounds.max_in_flight, few))
        working = False

        def start() -> None:
            nonlocal working
            working = working or admission.start(few)
            _refuse_unless(working)

        async def admitted() -> Message:
            message = await receive()
            # A slow upload does not keep other requests from work, so it does not count as work.
            if message["type"] == "http.request" and not message.get("more_body", False):
                start()
            return message

        try:
            if scope["method"] in WITHOUT_BODY:
                start()
            yield admitted
        finally:
            if working:
                admission.end()
            admission.leave()

    async def _within(self, timeout_s: float, scope: Scope, receive: Receive, send: Send) -> None:
        timer = asyncio.timeout(timeout_s)
        try:
            with request_scope():
                async with timer:
                    await self._app(scope, receive, send)
        except TimeoutError:
            if not timer.expired():
                raise
            raise RequestTimeout(
                f"The request was given up after {timeout_s:g} s. "
                "A change that it requested was made completely or not at all; read the data to see which.",
                outcome="unknown",
            ) from None


def _refuse_unless(admitted: bool) -> None:
    if not admitted:
        raise Overloaded("More requests arrive than can be served; try again in 1 s.", retry_after_s=1)


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
