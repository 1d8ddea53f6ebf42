"""All inputs, the bounds that a service has to keep beside them, and the run of one or several."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from scripts.attack import bodies, connections, heads, pictures, streams, zips
from scripts.attack.attacker import HELD, Attack
from scripts.attack.inputs import Input, Run
from scripts.attack.observation import MB, Seen, ServiceProcesses, watched
from scripts.attack.target import Target

LEAST_SECONDS = 1.0
"""The ordinary client has had time for some searches."""


def kinds(photograph: bytes) -> Mapping[str, tuple[Input, ...]]:
    """All inputs by kind; the photograph is in uploads that are processed beside an attack."""
    return {
        "connections": connections.INPUTS,
        "heads": heads.INPUTS,
        "slow bodies": bodies.SLOW,
        "bodies": bodies.DEAR,
        "zips": zips.INPUTS,
        "images": pictures.INPUTS,
        "streams": streams.inputs(photograph),
    }


@dataclass(frozen=True)
class Bounds:
    """What a service has to keep.

    Attributes:
        stall_s: longest wait of ``/healthz``.
        search_s: longest search of the ordinary client, which is always answered 200.
        idle_s: until no processor works any more, after the attacker has left.
        memory_mb: growth of the ingress replica, at most.
        memory_factor: of the growth to the bytes sent; what an input may have unpacked comes on top.
        spare_mb: growth that is never too much: the ordinary client's own requests, allocators.
    """

    stall_s: float = 0.5
    search_s: float = 2.0
    idle_s: float = 2.0
    memory_mb: float = 300.0
    memory_factor: float = 3.0
    spare_mb: float = 40.0

    def memory(self, sent: int, unpacked: int) -> float:
        """MB by which the ingress replica may grow."""
        return min(self.memory_mb, max(self.spare_mb, (self.memory_factor * sent + unpacked) / MB))


@dataclass
class Row:
    """What came of an input, or of several that a test sends under one observation."""

    name: str
    who: str
    sent: int = 0
    seconds: float = 0.0
    answers: dict[str, int] = field(default_factory=dict)
    ended_s: float = 0.0
    stall_s: float = 0.0
    grew_mb: float = 0.0
    kept_mb: float = 0.0
    searches: dict[str, int] = field(default_factory=dict)
    search_s: float = 0.0
    idle_s: float | None = None
    beyond: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Rounded."""
        return {key: round(value, 2) if isinstance(value, float) else value for key, value in asdict(self).items()}


def observe(
    target: Target,
    service: ServiceProcesses,
    photograph: bytes,
    inputs: Sequence[tuple[Input, Run]],
    bounds: Bounds,
    name: str = "",
) -> Row:
    """Send the inputs, those that have to end by themselves at the same time and the others one after another."""
    row = Row(name, "")
    if not name:
        row = Row(inputs[0][0].name, inputs[0][0].who) if inputs else Row("nothing", "nobody")
    with watched(target, photograph) as end:
        service.forget_peak()
        before, began = service.memory_mb(), time.monotonic()
        attacks = asyncio.run(_send(target, inputs))
        time.sleep(max(0.0, began + LEAST_SECONDS - time.monotonic()))
        row.seconds = time.monotonic() - began
        row.idle_s = service.idle_after(max(10.0, bounds.idle_s))
        row.grew_mb = max(0.0, service.peak_mb() - before)
        row.kept_mb = service.memory_mb() - before
        seen = end()
    row.sent = sum(attack.sent for attack in attacks)
    row.answers = dict(sum((attack.answers for attack in attacks), Counter()))
    row.ended_s = max((attack.ended_s for attack in attacks), default=0.0)
    row.stall_s, row.search_s, row.searches = seen.stall_s, seen.search_s, dict(seen.searches)
    row.beyond = _beyond(row, seen, bounds, sum(one.unpacked for one, _ in inputs))
    row.beyond += [each for (one, _), attack in zip(inputs, attacks, strict=True) for each in _wrong(one, attack)]
    return row


async def _send(target: Target, inputs: Sequence[tuple[Input, Run]]) -> list[Attack]:
    attacks = [Attack(target) for _ in inputs]

    async def one(place: int) -> None:
        given, run = inputs[place]
        try:
            async with asyncio.timeout(given.seconds):
                await run(attacks[place])
        except TimeoutError:
            pass

    await asyncio.gather(*(one(place) for place, (given, _) in enumerate(inputs) if given.ends))
    for place, (given, _) in enumerate(inputs):
        if not given.ends:
            await one(place)
    return attacks


def _beyond(row: Row, seen: Seen, bounds: Bounds, unpacked: int) -> list[str]:
    found = []
    if seen.stall_s > bounds.stall_s:
        found.append(f"/healthz waited {seen.stall_s:.1f} s, at most {bounds.stall_s:g} s are accepted")
    if set(seen.searches) != {"200"}:
        found.append(f"the ordinary client got {shown(seen.searches)}, expected 200")
    if seen.search_s > bounds.search_s:
        found.append(f"the ordinary client waited {seen.search_s:.1f} s, at most {bounds.search_s:g} s are accepted")
    most = bounds.memory(row.sent, unpacked)
    if row.grew_mb > most:
        found.append(f"memory grew by {row.grew_mb:.0f} MB, at most {most:.0f} MB are accepted")
    if row.idle_s is None or row.idle_s > bounds.idle_s:
        found.append(f"the processors were not idle {bounds.idle_s:g} s after the attacker had left")
    return found


def _wrong(one: Input, attack: Attack) -> list[str]:
    found = []
    wrong = {status: number for status, number in attack.answers.items() if status.startswith("5") and status != "503"}
    if one.answers:
        wrong |= {each: n for each, n in attack.answers.items() if each not in one.answers | {HELD}}
    if wrong:
        expected = f"one of {', '.join(sorted(one.answers))}" if one.answers else "no error of the server"
        found.append(f"{one.name}: answered {shown(wrong)}, expected {expected}")
    if one.ends and attack.answers[HELD]:
        found.append(f"{one.name}: {attack.answers[HELD]} connections were open after {one.seconds:g} s")
    return found


def shown(counts: Mapping[str, int]) -> str:
    """Statuses and how often they came."""
    return ", ".join(f"{number} x {status}" for status, number in sorted(counts.items())) or "no answer"


COLUMNS = "| input | who | sent | answers | stall | memory | client beside it | idle after | beyond |"


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """As Markdown; in bold what is beyond the bounds."""
    lines = [COLUMNS, "| " + " | ".join(["---"] * (COLUMNS.count("|") - 1)) + " |"]
    for row in rows:
        idle = "no" if row["idle_s"] is None else f"{row['idle_s']:.1f} s"
        searches = row["searches"]
        client = f"{'200' if set(searches) == {'200'} else shown(searches)}, {row['search_s']:.2f} s"
        cells = [
            row["name"], row["who"], size(row["sent"]), shown(row["answers"]), f"{row['stall_s']:.2f} s",
            f"{row['grew_mb']:+.0f} MB", client, idle, "**yes**" if row["beyond"] else "",
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def size(number: int) -> str:
    """Bytes for people."""
    return f"{number / MB:.1f} MB" if number >= 10**5 else f"{number / 1000:.1f} kB"
