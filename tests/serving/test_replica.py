"""Several calls that a replica receives as one."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

import pytest

from serve_app.errors import ImageError
from serve_app.request_context import RequestContext, current
from serve_app.serving.call_batching import Call, Outcome
from serve_app.serving.deployments import StageReplica, offer
from serve_app.serving.ray_private import serve_request_id, set_serve_request_id


class Contract(Protocol):
    async def tell(self, item: Any, *, times: int = 1) -> str: ...


class Stage:
    """Tells who asks and what, once all have asked."""

    def __init__(self, expected: int) -> None:
        self._all_here = asyncio.Barrier(expected)

    async def tell(self, item: Any, *, times: int = 1) -> str:
        await self._all_here.wait()
        if isinstance(item, Exception):
            raise item
        assert current().request_id == serve_request_id()
        return f"{current().request_id} by {current().caller}: {item * times}"


class Replica:
    """As much of a replica as needs no Ray."""

    _one = StageReplica._one

    async def together(self, method: str, calls: list[Call]) -> list[Outcome]:
        return await StageReplica.together(self, method, calls)  # type: ignore[arg-type]


def test_all_are_worked_on_at_once_and_each_has_its_own_outcome(caplog: pytest.LogCaptureFixture) -> None:
    items = ["a", ImageError("bad"), KeyError("a fault"), "d"]
    contexts = [RequestContext(f"r{number}", f"key:{number}") for number in range(len(items))]
    calls = [Call((item,), {"request_context": context}) for item, context in zip(items, contexts, strict=True)]
    calls[-1].kwargs["times"] = 2

    async def run() -> None:
        replica = Replica()
        offer(replica, Stage(len(calls)), Contract)
        set_serve_request_id("of the first")
        first, bad, fault, last = await replica.together("tell", calls)
        assert (first.value, last.value) == ("r0 by key:0: a", "r3 by key:3: dd")
        assert bad.error is items[1]
        assert isinstance(fault.error, RuntimeError)
        assert "a fault" in str(fault.error)
        assert serve_request_id() == "of the first"

    asyncio.run(run())
    assert [record.message for record in caplog.records] == ["tell failed"]
    assert "KeyError" in caplog.text
