"""All open HTTP connections of one process: which of them must make room for a new one, and a regular look at each."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Protocol

from serve_app.serving.connection_bounds import ConnectionBounds, room_for_connections

log = logging.getLogger(__name__)

WARN_AGAIN_S = 60.0


class Connection(Protocol):
    """What is needed of a connection."""

    def check(self, now: float) -> None:
        """End it if its client takes too long."""

    def make_room(self) -> None:
        """End it, because a new connection needs its place."""


class OpenConnections:
    """The open connections of one event loop.

    Attributes:
        idle: those without a request in progress, the oldest first.
        uploading: those whose request's body is not complete, the oldest first.
    """

    def __init__(self, bounds: ConnectionBounds) -> None:
        self.bounds = bounds
        self._most = bounds.connections
        self.idle: dict[Connection, None] = {}
        self.uploading: dict[Connection, None] = {}
        self._all: set[Connection] = set()
        self._leaving: set[Connection] = set()  # those that made room, and are not closed yet
        self._look_due = 0.0
        self._warn_from = float("-inf")

    def enter(self, connection: Connection) -> bool:
        """Add a connection, for which another one makes room if there are too many.

        Connections at work do not make room; beyond half as many again the new one must be refused: returns False.
        """
        if not self._all:
            self._look_later()
        if self._open >= self._most:
            self._warn()
            if not self._make_room() and self._open >= self._most * 3 // 2:
                return False
        self._all.add(connection)
        self.idle[connection] = None
        return True

    def rest(self, connection: Connection) -> None:
        """The connection's requests are answered; it makes room if there are too many."""
        self.uploading.pop(connection, None)
        self.idle[connection] = None
        if self._open > self._most:
            self._make_room()

    def leave(self, connection: Connection) -> None:
        """The connection was closed."""
        self._all.discard(connection)
        self._leaving.discard(connection)
        self.idle.pop(connection, None)
        self.uploading.pop(connection, None)

    @property
    def _open(self) -> int:
        return len(self._all) - len(self._leaving)

    def _make_room(self) -> bool:
        for waiting in (self.idle, self.uploading):
            if waiting:
                oldest = next(iter(waiting))
                del waiting[oldest]
                self._leaving.add(oldest)
                oldest.make_room()
                return True
        return False

    def _look_later(self) -> None:
        with suppress(OSError):  # no descriptor is left to count them with
            self._most = room_for_connections(self.bounds.connections, len(self._all))
        loop = asyncio.get_running_loop()
        self._look_due = loop.time() + self.bounds.look_s
        loop.call_at(self._look_due, self._look)

    def _look(self) -> None:
        now = asyncio.get_running_loop().time()
        in_time = now < self._look_due + self.bounds.look_s
        if self._all:
            self._look_later()
        # If the process stood still, what has arrived in the meantime is read before anybody is called slow.
        if in_time:
            for connection in tuple(self._all):
                connection.check(now)

    def _warn(self) -> None:
        now = asyncio.get_running_loop().time()
        if now >= self._warn_from:
            self._warn_from = now + WARN_AGAIN_S
            log.warning(
                "%d connections are open, which is the limit: for each new one, the one that has been idle for longest "
                "is closed. The limit is the setting ingress.max_connections, at most half of the free file "
                "descriptors.",
                self._open,
            )
