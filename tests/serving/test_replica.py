"""Several calls that a replica gets as one."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from ray.serve.context import _RequestContext, _serve_request_context

from serve_app.errors import ImageError
from serve_app.serving.call_batching import Call
from serve_app.serving.deployments import Replica
from serve_app.serving.remote import current_request_id


class Stage(Replica):
    """Tells who asks and what, once all have asked."""

    def __init__(self, expected: int) -> None:
        self._all_here = asyncio.Barrier(expected)

    async def tell(self, item: Any, *, times: int = 1) -> str:
        await self._all_here.wait()
        if isinstance(item, Exception):
            raise item
        return f"{current_request_id()}: {item * times}"


def test_all_are_worked_on_at_once_and_each_has_its_own_outcome(caplog: pytest.LogCaptureFixture) -> None:
    items = ["a", ImageError("bad"), KeyError("a fault"), "d"]
    calls = [Call((item,), {"times": 2} if item == "d" else {}, f"r{number}") for number, item in enumerate(items)]

    async def run() -> None:
        _serve_request_context.set(_RequestContext(request_id="of the first", app_name="facegraph"))  # type: ignore[arg-type]
        first, bad, fault, last = await Stage(len(calls)).together("tell", calls)
        assert (first.value, last.value) == ("r0: a", "r3: dd")
        assert bad.error is items[1]
        assert isinstance(fault.error, RuntimeError)
        assert "a fault" in str(fault.error)
        assert current_request_id() == "of the first"

    asyncio.run(run())
    assert [record.message for record in caplog.records] == ["tell failed"]
    assert "KeyError" in caplog.text
