"""One run of one input: connections, bytes sent, and what came back on each connection."""

from __future__ import annotations

import asyncio
import resource
import socket
import struct
import time
from collections import Counter
from collections.abc import Iterable

from scripts.attack.target import Target

PIECE = 2**16
SMALL_WINDOW = 4096
CLOSED, HELD = "closed", "held"
"""What is counted in place of a status: the service ended the connection without an answer; it was still open."""


class Attack:
    """Sends to one service until a deadline.

    Attributes:
        sent: bytes.
        answers: how often each status came, ``closed`` or ``held``.
        ended_s: seconds from the start until the last connection that was not held had its answer.
        held_s: the longest time of a connection that was held.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self.sent = 0
        self.answers: Counter[str] = Counter()
        self.ended_s = self.held_s = 0.0
        self._began = time.monotonic()

    async def exchange(
        self, pieces: Iterable[bytes], *, pause_s: float = 0.0, reads: bool = True, waits: bool = False
    ) -> None:
        """Open a connection, send, and read the answer.

        Args:
            pause_s: between two pieces.
            reads: False: nothing is read, and the receive window is small.
            waits: wait after the answer until the service ends the connection.
        """
        began = time.monotonic()
        try:
            outcome = await self._exchange(pieces, pause_s, reads, waits)
        except asyncio.CancelledError:  # the deadline
            self.answers[HELD] += 1
            self.held_s = max(self.held_s, time.monotonic() - began)
            raise
        except OSError:
            outcome = CLOSED
        self.answers[outcome] += 1
        self.ended_s = time.monotonic() - self._began

    async def _exchange(self, pieces: Iterable[bytes], pause_s: float, reads: bool, waits: bool) -> str:
        connection = socket.socket(socket.AF_INET6 if ":" in self.target.host else socket.AF_INET)
        connection.setblocking(False)
        if not reads:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_WINDOW)
        writing: asyncio.Task[None] | None = None
        writer: asyncio.StreamWriter | None = None
        try:
            await asyncio.get_running_loop().sock_connect(connection, (self.target.host, self.target.port))
            reader, writer = await asyncio.open_connection(sock=connection)
            writing = asyncio.create_task(self._write(writer, pieces, pause_s))
            if not reads:
                await writing
                await writer.wait_closed()  # only the deadline or a reset ends it
                return CLOSED
            outcome = await _answer(reader)
            while waits and await reader.read(PIECE):
                pass
            return outcome
        finally:
            if writer is not None:
                writer.transport.abort()
            connection.close()
            if writing is not None:  # last: the deadline can end this wait
                writing.cancel()
                await asyncio.gather(writing, return_exceptions=True)

    async def _write(self, writer: asyncio.StreamWriter, pieces: Iterable[bytes], pause_s: float) -> None:
        for piece in pieces:
            view = memoryview(piece)
            for start in range(0, len(view), PIECE):
                part = view[start : start + PIECE]
                writer.write(part)
                await writer.drain()
                self.sent += len(part)
            await asyncio.sleep(pause_s)

    async def reset(self, piece: bytes) -> None:
        """Open a connection, send, and end it as a process does that is killed."""
        connection = socket.socket(socket.AF_INET6 if ":" in self.target.host else socket.AF_INET)
        connection.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(connection, (self.target.host, self.target.port))
            self.sent += connection.send(piece)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            self.answers[CLOSED] += 1
        finally:
            connection.close()


async def _answer(reader: asyncio.StreamReader) -> str:
    """The status of the answer, which is read to its end."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return CLOSED
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
    left = int(fields[b"content-length"]) if b"content-length" in fields else -1
    last = b""
    while left and (read := await reader.read(PIECE)):
        left -= len(read) if left > 0 else 0
        last = (last + read)[-5:]
        if left < 0 and last == b"0\r\n\r\n":
            break
    return head[9:12].decode("latin-1")


def raise_open_files() -> None:
    """Allow this process as many descriptors as the system lets it have: an attacker has many connections."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def request(
    method: str,
    path: str,
    body: bytes = b"",
    *,
    key: str = "",
    kind: str = "",
    length: int | None = None,
    more: str = "",
) -> bytes:
    """An HTTP request that asks for the end of the connection.

    Args:
        length: the Content-Length, if it is not that of the body.
        more: further lines of the head, each with its line break.
    """
    lines = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{more}"
    lines += f"X-API-Key: {key}\r\n" if key else ""
    lines += f"Content-Type: {kind}\r\n" if kind else ""
    if length is None and method not in ("GET", "HEAD"):
        length = len(body)
    lines += f"Content-Length: {length}\r\n" if length is not None else ""
    return f"{lines}\r\n".encode() + body


def chunked(head: str, *pieces: bytes) -> bytes:
    """A request with this head (without its last line break) whose body comes in chunks; its end is not there yet."""
    body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + body
