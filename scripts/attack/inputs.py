"""What an input is, and common ways to send one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from scripts.attack.attacker import Attack
from scripts.attack.target import Target

MB = 2**20
ANYBODY, SEARCH, ENROLL = "anybody", "key, search", "key, enroll"

ENDS_S = 15.0
AGAIN_S = 0.5

Run = Callable[[Attack], Awaitable[None]]
Make = Callable[[Target], Iterable[bytes]]
"""Makes the pieces that are sent over one connection."""


@dataclass(frozen=True)
class Input:
    """One hostile input.

    Attributes:
        name: what is sent, for the table.
        who: who can send it.
        run: sends it.
        short: sends less of it, for a test that is to end soon; None: a test leaves it out.
        seconds: after which the attacker leaves, whatever was answered.
        answers: the only ones that are right; empty: all but errors of the server.
        ends: whether the service must end, or answer on, every connection within :data:`ENDS_S`.
        waits: whether the attacker only waits until it leaves; a test sends such inputs at the same time.
        unpacked: bytes that the limits allow it to have in memory, such as those of an image's pixels.
    """

    name: str
    who: str
    run: Run
    short: Run | None = None
    seconds: float = 12.0
    answers: frozenset[str] = frozenset()
    ends: bool = False
    waits: bool = False
    unpacked: int = 0


def at_once(copies: int, make: Make, pause_s: float = 0.0, reads: bool = True, waits: bool = False) -> Run:
    """Send it over a number of connections at the same time."""

    async def run(attack: Attack) -> None:
        exchanges = [
            attack.exchange(make(attack.target), pause_s=pause_s, reads=reads, waits=waits) for _ in range(copies)
        ]
        await asyncio.gather(*exchanges)

    return run


def refilled(copies: int, make: Make, pause_s: float = 0.0) -> Run:
    """Send it over a number of connections at the same time, and again when one has ended, until the deadline."""

    async def run(attack: Attack) -> None:
        async def one() -> None:
            while True:
                await attack.exchange(make(attack.target), pause_s=pause_s)
                await asyncio.sleep(AGAIN_S)

        await asyncio.gather(*(one() for _ in range(copies)))

    return run


def repeated(times: int, make: Make, connections: int = 1) -> Run:
    """Send it again and again over a number of connections at the same time, each time over a new one."""

    async def run(attack: Attack) -> None:
        async def one() -> None:
            for _ in range(times):
                await attack.exchange(make(attack.target))

        await asyncio.gather(*(one() for _ in range(connections)))

    return run


def each(make: Make) -> Run:
    """Send each piece over a connection of its own, at the same time."""

    async def run(attack: Attack) -> None:
        await asyncio.gather(*(attack.exchange([piece]) for piece in make(attack.target)))

    return run
