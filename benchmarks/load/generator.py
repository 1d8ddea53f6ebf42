"""Load generator: a separate process, ``python -m benchmarks.load.generator PLAN``, with figures as JSON on its output.

Closed loop: a number of clients, each of which sends its next request when it has its answer; measures the capacity.
Open loop: requests are due at a constant rate, independent of answers, and each is timed from the moment at which it
was due, so that a stall of the service lengthens all requests that fall into it (no coordinated omission).

Bare HTTP/1.1 over connections that stay open, with requests made beforehand: the generator shares the machine with the
service and must be cheap.
"""

from __future__ import annotations

import asyncio
import collections
import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

MAX_CONNECTIONS = 512
"""Connections of an open loop: when all are in use, a request waits, and its wait counts."""


@dataclass(frozen=True)
class Plan:
    """One step of load.

    Attributes:
        url: scheme, host, port and path of the requests.
        headers: of each request.
        bodies: files with bodies, sent in turn.
        seconds: duration that counts, after ``warm_up`` seconds that do not.
        clients: of a closed loop; 0 with an open one.
        rate: requests per second of an open loop; 0 with a closed one.
        timeout_s: seconds after which a request counts as failed.
        samples: also list every request: second at which it was due, milliseconds, status.
    """

    url: str
    headers: dict[str, str]
    bodies: list[str]
    seconds: float
    warm_up: float = 0.5
    clients: int = 0
    rate: float = 0.0
    timeout_s: float = 60.0
    samples: bool = False


class Connection:
    """One kept-open HTTP/1.1 connection, opened again when the server closed it."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def exchange(self, request: bytes) -> int:
        """Send a request and read the whole answer; its status.

        Raises:
            OSError, EOFError: the connection broke.
        """
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        try:
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            if b"content-length:" in head:
                await reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0]))
            elif b"transfer-encoding: chunked" in head:
                while size := int(await reader.readuntil(b"\r\n"), 16):
                    await reader.readexactly(size + 2)
                await reader.readexactly(2)
            if b"connection: close" in head:
                self.close()
        except BaseException:
            self.close()
            raise
        return int(head.split(b" ", 2)[1])

    def close(self) -> None:
        """Close the connection, if it is open."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


class Generator:
    """Runs a plan."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        parts = urlsplit(plan.url)
        self._address = (parts.hostname or "127.0.0.1", parts.port or 80)
        headers = {"Host": parts.netloc, "Connection": "keep-alive", **plan.headers}
        bodies = [Path(name).read_bytes() for name in plan.bodies]
        self._requests = [
            "".join(
                [
                    f"POST {parts.path} HTTP/1.1\r\n",
                    *(f"{name}: {value}\r\n" for name, value in headers.items()),
                    f"Content-Length: {len(body)}\r\n\r\n",
                ]
            ).encode()
            + body
            for body in bodies
        ]
        self._sent = self._ended = 0
        self._samples: list[tuple[float, float, int]] = []

    async def run(self) -> dict[str, Any]:
        """Run the plan; its figures, of which ``altogether`` also counts requests outside the seconds that count."""
        self._start = time.perf_counter()
        self._count_from = self._start + self._plan.warm_up
        self._end = self._count_from + self._plan.seconds
        await (self._open() if self._plan.rate else self._closed())
        figures = summary(self._samples, self._plan)
        figures["altogether"] = self._ended
        if self._plan.samples:
            figures["samples"] = [
                (round(due - self._count_from, 3), round((end - due) * 1e3, 1), status)
                for due, end, status in sorted(self._samples)
            ]
        return figures

    async def _one(self, connection: Connection, due: float) -> None:
        request = self._requests[self._sent % len(self._requests)]
        self._sent += 1
        try:
            status = await asyncio.wait_for(connection.exchange(request), self._plan.timeout_s)
        except (OSError, EOFError, TimeoutError):
            status = 0
        now = time.perf_counter()
        self._ended += 1
        # An open loop counts requests that were due in the interval, however late their answers; a closed one counts
        # those answered in it: in a steady state the same number is under way at its beginning and at its end.
        if self._count_from <= (due if self._plan.rate else now) <= self._end:
            self._samples.append((due, now, status))

    async def _closed(self) -> None:
        async def client() -> None:
            connection = Connection(*self._address)
            while (now := time.perf_counter()) < self._end:
                await self._one(connection, now)
            connection.close()

        await asyncio.gather(*(client() for _ in range(self._plan.clients)))

    async def _open(self) -> None:
        idle: collections.deque[Connection] = collections.deque()
        slots = asyncio.Semaphore(MAX_CONNECTIONS)

        async def request(due: float) -> None:
            async with slots:
                connection = idle.pop() if idle else Connection(*self._address)
                await self._one(connection, due)
                idle.append(connection)

        running: set[asyncio.Task[None]] = set()
        number = 0
        while (due := self._start + number / self._plan.rate) < self._end:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            task = asyncio.create_task(request(due))
            running.add(task)
            task.add_done_callback(running.discard)
            number += 1
        await asyncio.gather(*running)
        for connection in idle:
            connection.close()


def summary(samples: list[tuple[float, float, int]], plan: Plan) -> dict[str, Any]:
    """Rates and percentiles of a step; times are of requests answered with 200, in milliseconds."""
    statuses = collections.Counter(status for _, _, status in samples)
    times = [(end - due) * 1e3 for due, end, status in samples if status == 200]
    quantiles = np.quantile(times, [0.5, 0.95, 0.99]) if times else [float("nan")] * 3
    total = max(1, len(samples))
    return {
        "clients": plan.clients,
        "rate": plan.rate,
        "requests": len(samples),
        "per_second": round(statuses[200] / plan.seconds, 2),
        **{name: round(float(value), 1) for name, value in zip(("p50", "p95", "p99"), quantiles, strict=True)},
        "share_429": round(statuses[429] / total, 4),
        "share_failed": round((total - statuses[200] - statuses[429]) / total if samples else 1.0, 4),
        "statuses": {str(status): count for status, count in sorted(statuses.items())},
    }


def write_plan(plan: Plan, path: Path) -> None:
    """Write the plan file of the command line."""
    path.write_text(json.dumps(asdict(plan)), encoding="utf-8")


def main() -> None:
    """Run the plan in the file that the command line names."""
    plan = Plan(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    print(json.dumps(asyncio.run(Generator(plan).run())))


if __name__ == "__main__":
    main()
