"""One HTTP connection: uvicorn's protocol, with bounds on what its client sends and on the time that it takes.

They hold before anything knows the path, the dialect or the key of a request.
"""

from __future__ import annotations

import asyncio
import fcntl
import socket
import struct
import termios
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from serve_app.serving.connection_bounds import Pace
from serve_app.serving.open_connections import OpenConnections

NEVER = float("inf")
OPTIONAL_WHITESPACE = b" \t"
LINGER_0 = struct.pack("ii", 1, 0)


class Refused(Exception):
    """A request is refused while it is parsed."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class HttpConnection(HttpToolsProtocol):
    """Serves one connection. Trailers of chunked bodies are dropped, and requests to upgrade are served as HTTP/1.1."""

    _running: RequestResponseCycle | None = None  # the request that is worked on, or was last; pipelined ones follow it
    _in_head = False
    _ended = False  # what still comes is dropped
    _due = NEVER  # when a head must be complete, an idle connection be used, or an ended one be closed
    _reading = 0  # bytes of the present read
    _progressed = False  # whether the present read completed a head or a body, or had bytes of a body
    _unfinished = 0  # bytes of a head, of chunk sizes or of trailers that are not complete
    _received = 0
    _upload: Pace | None = None
    _delivery: Pace | None = None
    _undelivered = _delivered = 0

    def __init__(self, others: OpenConnections, **uvicorn: Any) -> None:
        super().__init__(**uvicorn)
        self.ws_protocol_class = None
        self._others = others
        self._bounds = others.bounds
        self._most_headers = others.bounds.headers

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected."""
        super().connection_made(transport)
        self._due = self.loop.time() + self._bounds.head_s
        if not self._others.enter(self):
            self._ended = True
            self.transport.write(_answer(503, "All connections are in use; try again in 1 s."))
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed."""
        self._others.leave(self)
        self._abandon()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what has come."""
        if self._ended:
            self._unfinished += len(data)
            if self._unfinished > self._bounds.dropped_bytes:
                self.transport.abort()
            return
        if self._due != NEVER:
            self._due = min(self._due, self.loop.time() + self._bounds.head_s)
        self._reading = len(data)
        self._received += self._reading
        self._progressed = False
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:  # the request is served, but what follows it is not for this parser
            self._ended, self.cycle.keep_alive = True, False
            return
        except httptools.HttpParserError as error:
            reason = error.__context__
            if isinstance(reason, Refused):
                self._end(reason.status, str(reason))
            else:
                self._end(400, f"The request is not valid HTTP/1.1: {error}.")
            return
        self._unfinished = 0 if self._progressed else self._unfinished + self._reading
        if self._unfinished > self._bounds.head_bytes:
            self._end(431, self._head_too_large())
        elif self._due == NEVER and self.cycle.more_body:
            self._others.uploading[self] = None

    def on_message_begin(self) -> None:
        """A request begins."""
        self._in_head = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer, which is no header (RFC 9110, 6.5.1)."""
        if not self._in_head:
            return
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        headers = self.headers
        headers.append((name, value.rstrip(OPTIONAL_WHITESPACE)))
        if len(headers) > self._most_headers:
            raise Refused(431, self._head_too_large())

    def on_headers_complete(self) -> None:
        """The head is complete: the request is served, or waits for the answer to an earlier one."""
        most = self._bounds.head_bytes
        if self._unfinished + self._reading > most and self._head_size() > most:
            raise Refused(431, self._head_too_large())
        if len(self.pipeline) >= self._bounds.pipelined:
            raise Refused(429, f"At most {self._bounds.pipelined} requests may wait for the answer to an earlier one.")
        if self.parser.should_upgrade() and _has_body(self.headers):  # the parser cannot find its end
            raise Refused(400, "A request with a body cannot ask for an upgrade: this server speaks HTTP/1.1 only.")
        super().on_headers_complete()
        self._in_head = False
        self._progressed = True
        self._due = NEVER
        self._others.idle.pop(self, None)

    def on_body(self, body: bytes) -> None:
        """Bytes of a body."""
        self._progressed = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is complete."""
        self._progressed = True
        self._upload = None
        if self in self._others.uploading:
            del self._others.uploading[self]
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """The answer is written; what remains is to wait, or to serve the next request."""
        if not self.transport.is_closing():
            self.flow.resume_reading()
            if self.pipeline:
                self._start_asgi_task(*self.pipeline.pop())
                return
        incomplete = self._in_head or self._unfinished or self.cycle.more_body
        self._wait(self._bounds.head_s if incomplete else self.timeout_keep_alive)

    def check(self, now: float) -> None:
        """End the connection if its client takes too long."""
        if self._reads_too_slowly(now):
            # The kernel drops its part of the answer, too, and tells the client.
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_0)
            self.transport.abort()
        elif now >= self._due:
            if self._in_head and not self._ended:
                self._end(408, f"The head of the request was not complete within {self._bounds.head_s:g} s.")
            else:
                self.transport.abort()
        elif self._sends_too_slowly(now):
            bounds = self._bounds
            self._end(
                408,
                f"The body of the request came too slowly: at least {bounds.bytes_per_second} bytes per second are "
                f"expected, and some bytes within {bounds.stalled_s:g} s.",
            )

    def make_room(self) -> None:
        """End the connection, because a new one needs its place."""
        self._ended = True
        if self._abandon():
            self.transport.write(_answer(503, "Too many connections are open; try again in 1 s."))
            self.transport.close()
        elif self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _wait(self, seconds: float) -> None:
        """Wait for the client, for this time at most."""
        self._due = self.loop.time() + seconds
        self._others.rest(self)

    def _end(self, status: int, text: str) -> None:
        """Refuse the request that is being read, and end the connection."""
        self._ended = True
        running = self._running
        if running is not None and not running.response_complete:
            if self._in_head or self.cycle is not running:  # the answers to the requests before it come first
                if not self._in_head and self.cycle.more_body:
                    self.pipeline.popleft()
                last = self.pipeline[0][0] if self.pipeline else running
                last.keep_alive = False
                self.flow.resume_reading()
                return
            if not self._abandon():
                self.transport.close()
                return
        self.transport.write(_answer(status, text))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._unfinished = 0
        self._wait(self._bounds.dropping_s)

    def _abandon(self) -> bool:
        """Tell the request in progress, if any, that its client is gone. Returns whether it can still be answered."""
        running = self._running
        if running is None or running.response_complete:
            return False
        running.disconnected = True
        running.message_event.set()
        return not running.response_started

    def _sends_too_slowly(self, now: float) -> bool:
        cycle = self.cycle
        if (
            cycle is None
            or not cycle.more_body
            or self._due != NEVER  # it was answered already
            or self.flow.read_paused  # the service is the one that does not read
            or cycle.waiting_for_100_continue
        ):
            self._upload = None
        elif self._upload is None:
            self._upload = Pace(self._bounds, now, self._received)
        else:
            return self._upload.too_slow(now, self._received)
        return False

    def _reads_too_slowly(self, now: float) -> bool:
        buffered = self.transport.get_write_buffer_size()
        if not buffered:
            self._delivery = None
            return False
        undelivered = buffered + _unacknowledged(self.transport)
        if self._delivery is None:
            self._delivery = Pace(self._bounds, now, self._delivered)
        else:
            self._delivered += max(0, self._undelivered - undelivered)
        self._undelivered = undelivered
        return self._delivery.too_slow(now, self._delivered)

    def _head_size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)

    def _head_too_large(self) -> str:
        return (
            f"The first line and the headers of a request may have at most {self._bounds.head_bytes} bytes, "
            f"and at most {self._bounds.headers} headers."
        )


def _has_body(headers: list[tuple[bytes, bytes]]) -> bool:
    return any(name == b"transfer-encoding" or (name == b"content-length" and value != b"0") for name, value in headers)


def _answer(status: int, text: str) -> bytes:
    body = f"{text}\n".encode()
    retry = b"retry-after: 1\r\n" if status in (429, 503) else b""
    head = b"connection: close\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\n" % len(body)
    return b"".join((STATUS_LINE[status], head, retry, b"\r\n", body))


def _unacknowledged(transport: asyncio.Transport) -> int:
    """Bytes that were handed to the kernel and that the client has not received, as far as the system tells."""
    try:
        answer = fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, bytes(4))
    except (OSError, ValueError):  # the system does not tell, or the socket is closed
        return 0
    return int(struct.unpack("i", answer)[0])
