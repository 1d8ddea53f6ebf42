"""The batcher serves single items at once, fills batches under load, and answers every caller."""

from __future__ import annotations

import asyncio
import threading

import pytest

from serve_app.errors import Overloaded, Unavailable
from serve_app.stages.batching import Batcher
from tests.waiting import until


class Doubler:
    """Doubles numbers; holds the thread while ``gate`` is closed; refuses the number 13."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.batches: list[list[int]] = []

    def __call__(self, items: list[int]) -> list[int]:
        self.batches.append(items)
        assert self.gate.wait(120)
        if 13 in items:
            raise ValueError("13 brings bad luck")
        return [2 * item for item in items]


def batcher(run: Doubler, **options: int) -> Batcher[int, int]:
    return Batcher(run, **{"max_batch": 4, "max_queue": 16, **options}, name="doubler")  # type: ignore[arg-type]


def test_results_come_in_the_order_of_the_items() -> None:
    async def scenario() -> None:
        run = Doubler()
        it = batcher(run)
        assert await it.submit(range(10)) == [2 * i for i in range(10)]
        assert [len(batch) for batch in run.batches] == [4, 4, 2]
        assert await it.submit([]) == []
        await it.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("max_batch", [1, 5, 8, 16, 32])
@pytest.mark.parametrize("workers", [1, 2])
def test_every_caller_gets_its_own_results_from_batches_of_any_size(max_batch: int, workers: int) -> None:
    async def scenario() -> None:
        run = Doubler()
        it = batcher(run, max_batch=max_batch, max_queue=1000, workers=workers)
        run.gate.clear()
        first = asyncio.create_task(it.submit([-1]))
        await until(lambda: run.batches)
        calls = [range(start, start + size) for start, size in ((100, 3), (200, 1), (300, 7), (400, 33))]
        tasks = [asyncio.create_task(it.submit(items)) for items in calls]
        await until(lambda: it.waiting >= 44 - max_batch)
        run.gate.set()
        assert await first == [-2]
        assert await asyncio.gather(*tasks) == [[2 * item for item in items] for items in calls]
        assert max(map(len, run.batches)) == min(max_batch, 44)
        await it.close()

    asyncio.run(scenario())


def test_items_of_waiting_callers_share_a_batch() -> None:
    async def scenario() -> None:
        run = Doubler()
        it = batcher(run)
        run.gate.clear()
        first = asyncio.create_task(it.submit([1]))
        await until(lambda: run.batches)
        others = [asyncio.create_task(it.submit([n])) for n in (2, 3, 4)]
        await until(lambda: it.waiting == 3)
        run.gate.set()
        assert await first == [2]
        assert [await task for task in others] == [[4], [6], [8]]
        assert run.batches == [[1], [2, 3, 4]]
        await it.close()

    asyncio.run(scenario())


def test_a_single_item_does_not_wait_for_company(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_timer(*_: object, **__: object) -> None:
        raise AssertionError("a timer was set")

    async def scenario() -> None:
        it = batcher(Doubler())
        # Whoever waits for company sets a timer. A stopwatch would measure what else the machine does.
        with monkeypatch.context() as patched:
            patched.setattr(asyncio.get_running_loop(), "call_at", no_timer)
            for _ in range(20):
                assert await it.submit([1]) == [2]
        await it.close()

    asyncio.run(scenario())


def test_a_full_queue_refuses_all_of_a_callers_items() -> None:
    async def scenario() -> None:
        run = Doubler()
        it = batcher(run, max_queue=3)
        run.gate.clear()
        tasks = [asyncio.create_task(it.submit([1]))]
        await until(lambda: run.batches)
        tasks.append(asyncio.create_task(it.submit([2, 3])))
        await until(lambda: it.waiting == 2)
        with pytest.raises(Overloaded) as refused:
            await it.submit([4, 5])
        assert refused.value.details["retry_after_s"] >= 1
        assert it.waiting == 2
        tasks.append(asyncio.create_task(it.submit([6])))  # the last place
        await until(lambda: it.waiting == 3)
        with pytest.raises(Overloaded):
            await it.submit([7])
        run.gate.set()
        await asyncio.gather(*tasks)
        await it.close()

    asyncio.run(scenario())


def test_a_cancelled_callers_items_are_not_computed() -> None:
    async def scenario() -> None:
        run = Doubler()
        it = batcher(run)
        run.gate.clear()
        first = asyncio.create_task(it.submit([1]))
        await until(lambda: run.batches)
        gone = asyncio.create_task(it.submit([2]))
        stays = asyncio.create_task(it.submit([3]))
        await until(lambda: it.waiting == 2)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        run.gate.set()
        assert await first == [2]
        assert await stays == [6]
        assert run.batches == [[1], [3]]
        await it.close()

    asyncio.run(scenario())


def test_an_error_reaches_its_batch_and_no_other() -> None:
    async def scenario() -> None:
        it = batcher(Doubler())
        with pytest.raises(ValueError, match="bad luck"):
            await it.submit([13])
        assert await it.submit([1]) == [2]
        await it.close()

    asyncio.run(scenario())


def test_a_wrong_number_of_results_is_an_error() -> None:
    async def scenario() -> None:
        it: Batcher[int, int] = Batcher(lambda items: items[1:], max_batch=4, max_queue=4, name="short")
        with pytest.raises(RuntimeError, match="2 items went in, 1 results came out"):
            await it.submit([1, 2])
        await it.close()

    asyncio.run(scenario())


def test_closing_fails_what_waits_and_refuses_what_comes() -> None:
    async def scenario() -> None:
        run = Doubler()
        it = batcher(run)
        run.gate.clear()
        running = asyncio.create_task(it.submit([1]))
        await until(lambda: run.batches)
        waiting = asyncio.create_task(it.submit([2]))
        await until(lambda: it.waiting == 1)
        closing = asyncio.create_task(it.close())
        with pytest.raises(Unavailable):
            await waiting
        run.gate.set()
        assert await running == [2]
        await closing
        with pytest.raises(Unavailable):
            await it.submit([3])
        await it.close()

    asyncio.run(scenario())


def test_several_batches_run_at_the_same_time() -> None:
    async def scenario() -> None:
        run = Doubler()
        it = batcher(run, workers=2)
        run.gate.clear()
        calls = []
        for number in (1, 2):
            calls.append(asyncio.create_task(it.submit([number])))
            await until(lambda number=number: len(run.batches) == number)  # type: ignore[misc]
        calls += [asyncio.create_task(it.submit([number])) for number in (3, 4)]
        await until(lambda: it.waiting == 2)
        assert run.batches == [[1], [2]], "nobody waits for company while a thread is free"
        run.gate.set()
        assert await asyncio.gather(*calls) == [[2], [4], [6], [8]]
        assert await it.submit(range(10)) == [2 * i for i in range(10)]

        run.gate.clear()
        running = asyncio.create_task(it.submit(range(8)))
        await until(lambda: it.waiting == 0)
        waiting = asyncio.create_task(it.submit([9]))
        await until(lambda: it.waiting == 1)
        closing = asyncio.create_task(it.close())
        with pytest.raises(Unavailable):
            await waiting
        run.gate.set()
        await closing
        assert await running == [2 * i for i in range(8)]

    asyncio.run(scenario())
