"""ASGI middleware that reads and drops the rest of a body that was answered before it had arrived.

Many clients write the whole request before they read (http.client, urllib, fetch of Node). If the server closes the
connection while they write, the kernel resets it, and they never see the answer. So the answer is sent at once, and
ends, which lets the server close the connection, when the body has arrived or a bound is reached.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_app.request_context import INTERNAL, current

MAX_BYTES = 256 * 2**20
"""Bytes that are read after the answer: four times the largest body that the default settings accept."""

MAX_BYTES_OF_STRANGERS = 16 * 2**20
"""The same for a request without a proven key."""

MAX_S = 30.0
MAX_IDLE_S = 5.0
"""Seconds of reading after the answer, altogether and without new bytes, as nginx's ``lingering_time`` and
``lingering_timeout``."""

KEPT_ALIVE_BYTES = 2**20
"""A body that declares more, or no length, is followed by the end of the connection."""


class UnreadBodies:
    """Lets every answer reach its client, although the request's body was not read to its end."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        headers = dict(scope.get("headers", ()))
        declared = headers.get(b"content-length", b"0")
        if scope["type"] != "http" or (declared == b"0" and b"transfer-encoding" not in headers):
            await self._app(scope, receive, send)
            return
        may_be_long = not declared.isdigit() or declared == b"0" or int(declared) > KEPT_ALIVE_BYTES
        complete = unended = False

        async def noting_receive() -> Message:
            nonlocal complete
            message = await receive()
            complete = _is_last(message)
            return message

        async def unending_send(message: Message) -> None:
            nonlocal unended
            if not complete and message["type"] == "http.response.start":
                if may_be_long or b"expect" in headers:  # who waits for "100 Continue" does not send the body now
                    MutableHeaders(scope=message)["Connection"] = "close"
            elif not complete and not message.get("more_body", False):
                unended = True
                message = {**message, "more_body": True}
            await send(message)

        await self._app(scope, noting_receive, unending_send)
        if unended:
            await _drain(receive, MAX_BYTES if current().caller != INTERNAL else MAX_BYTES_OF_STRANGERS)
            await send({"type": "http.response.body", "body": b"", "more_body": False})


def _is_last(message: Message) -> bool:
    return message["type"] != "http.request" or not message.get("more_body", False)


async def _drain(receive: Receive, left: int) -> None:
    """Read the rest of the body, within the bounds."""
    with suppress(TimeoutError):
        async with asyncio.timeout(MAX_S):
            while left > 0:
                async with asyncio.timeout(MAX_IDLE_S):
                    message = await receive()
                if _is_last(message):
                    return
                left -= len(message.get("body", b""))
