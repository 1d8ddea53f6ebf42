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
from scripts.attack.inputs import ENDS_S, Input, Run
from scripts.attack.observation import MB, ServiceProcesses, watched
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
    """What came of an input, or of several that a test sends under one observation.

    Attributes:
        sent: bytes.
        answers: statuses, or "closed" or "held", and how often they came.
        ended_s: until the last connection that the attacker did not end had its answer.
        stall_s: longest wait of ``/healthz``.
        grew_mb, kept_mb: memory of the ingress replica over that before: the largest, and that at the end.
        searches, search_s: statuses of the ordinary client's searches, and the longest one.
        idle_s: until no processor worked any more; None: not within ten seconds.
        beyond: what is beyond the bounds, shortly and as a sentence.
    """

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
    beyond: dict[str, str] = field(default_factory=dict)

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
    """Send the inputs, those whose attacker waits at the same time and the others one after another."""
    row = Row(name, "")
    if not name:
        row = Row(inputs[0][0].name, inputs[0][0].who) if inputs else Row("nothing", "nobody")
    with watched(target, photograph) as watch:
        service.forget_peak()
        before, began = service.memory_mb(), time.monotonic()
        attacks = asyncio.run(_send(target, inputs))
        time.sleep(max(0.0, began + LEAST_SECONDS - time.monotonic()))
        row.seconds = time.monotonic() - began
        watch.stop()
        row.idle_s = service.idle_after(max(10.0, bounds.idle_s))
        row.grew_mb = max(0.0, service.peak_mb() - before)
        row.kept_mb = service.memory_mb() - before
        seen = watch.seen()
    row.sent = sum(attack.sent for attack in attacks)
    row.answers = dict(sum((attack.answers for attack in attacks), Counter()))
    row.ended_s = max((attack.ended_s for attack in attacks), default=0.0)
    row.stall_s, row.search_s, row.searches = seen.stall_s, seen.search_s, dict(seen.searches)
    row.beyond = judge(row, bounds, sum(one.unpacked for one, _ in inputs))
    for (one, _), attack in zip(inputs, attacks, strict=True):
        row.beyond |= judge_answers(one, attack)
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

    together = [place for place, (given, _) in enumerate(inputs) if given.ends or given.waits]
    await asyncio.gather(*map(one, together))
    for place in range(len(inputs)):
        if place not in together:
            await one(place)
    return attacks


def judge(row: Row, bounds: Bounds, unpacked: int) -> dict[str, str]:
    """What of the observation is beyond the bounds, shortly and as a sentence."""
    found = {}
    most = bounds.memory(row.sent, unpacked)
    if row.stall_s > bounds.stall_s:
        text = f"/healthz waited {row.stall_s:.1f} s, at most {bounds.stall_s:g} s are accepted"
        found[f"stall {row.stall_s:.1f} s"] = text
    if set(row.searches) != {"200"}:
        found[f"client: {shown(row.searches)}"] = f"the ordinary client got {shown(row.searches)}, expected 200"
    if row.search_s > bounds.search_s:
        text = f"the ordinary client waited {row.search_s:.1f} s, at most {bounds.search_s:g} s are accepted"
        found[f"client: {row.search_s:.1f} s"] = text
    if row.grew_mb > most:
        text = f"memory grew by {row.grew_mb:.0f} MB, at most {most:.0f} MB are accepted"
        found[f"{row.grew_mb:+.0f} MB"] = text
    if row.idle_s is None or row.idle_s > bounds.idle_s:
        found["not idle"] = f"the processors were not idle {bounds.idle_s:g} s after the attacker had left"
    return found


def judge_answers(one: Input, attack: Attack) -> dict[str, str]:
    """Wrong answers, and connections that the service had to end and did not."""
    found = {}
    wrong = {status: number for status, number in attack.answers.items() if status.startswith("5") and status != "503"}
    if one.answers:
        wrong |= {each: n for each, n in attack.answers.items() if each not in one.answers | {HELD}}
    if wrong:
        expected = f"one of {', '.join(sorted(one.answers))}" if one.answers else "no error of the server"
        found[f"answer {shown(wrong)}"] = f"{one.name}: answered {shown(wrong)}, expected {expected}"
    if one.ends and attack.held_s > ENDS_S:
        text = f"{one.name}: connections without progress were open for {attack.held_s:.0f} s, at most {ENDS_S:g} s"
        found[f"open for {attack.held_s:.0f} s"] = text
    return found


def shown(counts: Mapping[str, int]) -> str:
    """Statuses and how often they came."""
    return ", ".join(f"{number} x {status}" for status, number in sorted(counts.items())) or "no answer"


COLUMNS = ("input", "who", "sent", "answers", "stall", "memory", "client beside it", "idle after", "beyond the bounds")


def table(rows: Sequence[Mapping[str, Any]], earlier: Sequence[Mapping[str, Any]] = ()) -> str:
    """As Markdown; ``earlier``: rows of another commit, of which a column says what was beyond the bounds."""
    then = {row["name"]: ", ".join(row["beyond"]) for row in earlier}
    columns = (*COLUMNS, *(["earlier"] if earlier else []))
    lines = [columns, ["---"] * len(columns)]
    for row in rows:
        searches = row["searches"]
        client = f"{'200' if set(searches) == {'200'} else shown(searches)}, {row['search_s']:.2f} s"
        idle = "no" if row["idle_s"] is None else f"{row['idle_s']:.1f} s"
        measured = [f"{row['stall_s']:.2f} s", f"{row['grew_mb']:+.0f} MB", client, idle, ", ".join(row["beyond"])]
        before = [then.get(row["name"], "")] if earlier else []
        lines.append([row["name"], row["who"], size(row["sent"]), shown(row["answers"]), *measured, *before])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def size(number: int) -> str:
    """Bytes for people."""
    return f"{number / MB:.1f} MB" if number >= 10**5 else f"{number / 1000:.1f} kB"
