"""TCP proxy that simulates a bad network before a server: delayed or withheld bytes, broken connections."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

CHUNK_BYTES = 2**16


class SlowNetwork:
    """A TCP proxy on a free port of the loopback address; it runs until ``close``.

    Attributes:
        latency_s: delay of each chunk of bytes, in either direction.
        accepted: number of connections so far.

    Args:
        port: of the server on this machine.
    """

    def __init__(self, port: int) -> None:
        self.latency_s = 0.0
        self.accepted = 0
        self._target = port
        self._loop = asyncio.new_event_loop()
        self._passing = asyncio.Event()
        self._passing.set()
        self._connections: set[asyncio.Task[None]] = set()
        self._server = self._loop.run_until_complete(asyncio.start_server(self._connect, "127.0.0.1", 0))
        self.port: int = self._server.sockets[0].getsockname()[1]
        self._thread = threading.Thread(target=self._loop.run_forever, name="slow-network", daemon=True)
        self._thread.start()

    @contextmanager
    def black_hole(self) -> Iterator[None]:
        """Accept connections and bytes, but forward nothing until the end; then all bytes arrive, as by TCP."""
        self._do(self._passing.clear)
        try:
            yield
        finally:
            self._do(self._passing.set)

    def cut(self) -> None:
        """Break all connections with the bytes under way; new connections are accepted."""
        self._do(lambda: [task.cancel() for task in self._connections])

    def close(self) -> None:
        """Break all connections and stop."""

        async def end() -> None:
            self._server.close()
            for task in self._connections:
                task.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), self._loop).result()
        self._do(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, act: Callable[[], object]) -> None:
        self._loop.call_soon_threadsafe(act)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        ends = [writer]
        try:
            await self._passing.wait()
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self._target)
            ends.append(to_server)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pump(reader, to_server))
                both.create_task(self._pump(from_server, writer))
        except* (OSError, asyncio.CancelledError):
            pass
        finally:
            for end in ends:
                end.transport.abort()
            self._connections.discard(task)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(CHUNK_BYTES):
            await asyncio.sleep(self.latency_s)
            await self._passing.wait()
            writer.write(chunk)
            await writer.drain()
        with contextlib.suppress(OSError):
            writer.write_eof()
