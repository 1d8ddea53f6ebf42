"""Calls that wait for a busy stage are sent together: none is lost, and none waits without need."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any

import numpy as np
import pytest

from serve_app.errors import ImageError, Unavailable
from serve_app.serving.call_batching import MOST_BYTES, MOST_CALLS, Call, CallBatcher, Outcome

caller: ContextVar[str] = ContextVar("caller")


class Stage:
    """Answers calls when told to; ``sent`` lists what went out, alone or together."""

    def __init__(self, limit: int) -> None:
        self.sent: list[list[Any]] = []
        self.contexts: list[str] = []
        self.failure: Exception | None = None
        self.gate = asyncio.Semaphore(0)
        self.batcher = CallBatcher(self._alone, self._together, limit)

    async def _alone(self, item: Any) -> Any:
        (outcome,) = await self._work([item])
        if outcome.error is not None:
            raise outcome.error
        return outcome.value

    async def _together(self, calls: Sequence[Call]) -> Sequence[Outcome]:
        return await self._work([call.args[0] for call in calls])

    async def _work(self, items: list[Any]) -> list[Outcome]:
        self.sent.append(items)
        self.contexts.append(caller.get(""))
        await self.gate.acquire()
        if self.failure is not None:
            raise self.failure
        return [Outcome(error=ImageError("bad")) if item == "bad" else Outcome(f"did {item}") for item in items]

    async def ask(self, *items: Any) -> list[asyncio.Task[Any]]:
        tasks = [asyncio.create_task(self.batcher.call(item)) for item in items]
        await asyncio.sleep(0.01)
        return tasks

    async def answer(self, times: int) -> None:
        for _ in range(times):
            self.gate.release()
            await asyncio.sleep(0.01)


def test_an_idle_stage_gets_each_call_at_once() -> None:
    async def run() -> None:
        stage = Stage(limit=3)
        tasks = await stage.ask(1, 2, 3)
        assert stage.sent == [[1], [2], [3]]
        await stage.answer(3)
        assert [task.result() for task in tasks] == ["did 1", "did 2", "did 3"]

    asyncio.run(run())


def test_what_waits_for_a_busy_one_goes_as_one_in_the_order_it_came() -> None:
    async def run() -> None:
        stage = Stage(limit=2)
        tasks = await stage.ask(1, 2, 3, 4, 5)
        assert stage.sent == [[1], [2]]
        await stage.answer(1)
        assert stage.sent[2:] == [[3, 4, 5]]
        late = await stage.ask(6)
        assert stage.sent[3:] == [], "two are under way again"
        await stage.answer(3)
        assert await asyncio.gather(*tasks, *late) == [f"did {n}" for n in range(1, 7)]
        again = await stage.ask(7)
        await stage.answer(1)
        assert stage.sent[3:] == [[6], [7]]
        assert again[0].result() == "did 7"

    asyncio.run(run())


def test_each_gets_its_own_error() -> None:
    async def run() -> None:
        stage = Stage(limit=1)
        tasks = await stage.ask(1, 2, "bad", 4)
        await stage.answer(2)
        assert stage.sent == [[1], [2, "bad", 4]]
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(answers[2], ImageError)
        assert [answers[0], answers[1], answers[3]] == ["did 1", "did 2", "did 4"]

    asyncio.run(run())


def test_a_call_that_cannot_be_made_fails_all_that_it_carries_and_none_after() -> None:
    async def run() -> None:
        stage = Stage(limit=1)
        tasks = await stage.ask(1, 2, 3)
        await stage.answer(1)
        stage.failure = Unavailable("gone")
        later = await stage.ask(4)
        await stage.answer(1)
        assert tasks[0].result() == "did 1"
        assert [type(task.exception()) for task in tasks[1:]] == [Unavailable, Unavailable]
        stage.failure = None
        await stage.answer(1)
        assert await later[0] == "did 4"

    asyncio.run(run())


def test_who_has_gone_away_is_not_sent() -> None:
    async def run() -> None:
        stage = Stage(limit=1)
        tasks = await stage.ask(1, 2, 3)
        tasks[1].cancel()
        await asyncio.sleep(0.01)
        await stage.answer(2)
        assert stage.sent == [[1], [3]]
        tasks = await stage.ask(4, 5)
        tasks[0].cancel()
        await asyncio.sleep(0.01)
        assert stage.sent[2:] == [[4], [5]], "a call under way that is given up makes room"
        await stage.answer(1)
        assert await tasks[1] == "did 5"

    asyncio.run(run())


def test_what_all_have_given_up_is_given_up_and_makes_room() -> None:
    """A machine that lost its power does not say so: each caller has a timeout, and then others shall get through."""

    async def run() -> None:
        stage = Stage(limit=1)
        tasks = await stage.ask(1, 2, 3)
        await stage.answer(1)
        later = await stage.ask(4)
        tasks[1].cancel()
        await asyncio.sleep(0.01)
        assert stage.sent == [[1], [2, 3]], "one still waits for it"
        tasks[2].cancel()
        await asyncio.sleep(0.01)
        assert stage.sent[2:] == [[4]]
        await stage.answer(1)
        assert await later[0] == "did 4"

    asyncio.run(run())


def test_what_is_sent_together_has_limits() -> None:
    async def run() -> None:
        stage = Stage(limit=1)
        await stage.ask("first", *range(MOST_CALLS + 1))
        await stage.answer(1)
        assert [len(sent) for sent in stage.sent] == [1, MOST_CALLS]
        await stage.answer(2)

        stage.sent.clear()
        small, large = bytes(MOST_BYTES // 2), bytes(4 * MOST_BYTES)
        await stage.ask("first", small, small, small, large, small)
        await stage.answer(5)
        assert [[len(item) for item in sent] for sent in stage.sent[1:]] == [
            [len(small), len(small)],
            [len(small)],
            [len(large)],
            [len(small)],
        ]

    asyncio.run(run())


def test_each_is_sent_in_the_context_of_the_first() -> None:
    async def run() -> None:
        stage = Stage(limit=1)

        async def ask(name: str) -> Any:
            caller.set(name)
            return await stage.batcher.call(name)

        tasks = [asyncio.create_task(ask(name)) for name in ("a", "b", "c")]
        await asyncio.sleep(0.01)
        await stage.answer(2)
        await asyncio.gather(*tasks)
        assert stage.contexts == ["a", "b"]

    asyncio.run(run())


def test_the_weight_of_a_call_is_that_of_its_pictures() -> None:
    crops = [np.zeros((112, 112, 3), np.uint8)] * 2
    assert Call((b"12345", "an option"), {}).weight == 5
    assert Call((crops, "a model"), {}).weight == 2 * 112 * 112 * 3
    assert Call(("a tenant",), {}).weight == 0


@pytest.mark.parametrize("seed", range(3))
def test_under_any_load_each_call_is_made_once(seed: int) -> None:
    async def run() -> None:
        chance = random.Random(seed)
        seen: list[int] = []
        under_way = most = 0

        async def work(items: Sequence[int]) -> list[Outcome]:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(chance.random() / 500)
            seen.extend(items)
            under_way -= 1
            return [Outcome(item) for item in items]

        async def alone(item: int) -> int:
            return int((await work([item]))[0].value)

        batcher = CallBatcher(alone, lambda calls: work([call.args[0] for call in calls]), 3)

        async def client(numbers: range) -> None:
            for number in numbers:
                assert await batcher.call(number) == number
                if chance.random() < 0.1:
                    await asyncio.sleep(0.003)

        await asyncio.gather(*(client(range(first, 1000, 25)) for first in range(25)))
        assert sorted(seen) == list(range(1000))
        assert most == 3

    asyncio.run(run())
