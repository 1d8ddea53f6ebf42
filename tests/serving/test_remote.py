"""A stage in another process: behaviour when its replica dies, is busy, or refuses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import grpc  # type: ignore[import-untyped]  # its types are a package of their own
import pytest
from ray.exceptions import ActorDiedError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError

from serve_app.contracts import methods
from serve_app.errors import FacegraphError, Overloaded, PersonNotFound, Unavailable
from serve_app.request_context import RequestContext
from serve_app.serving.remote import Remote
from serve_app.serving.stage_kinds import STAGES


class Handle:
    """A deployment's handle that answers each call from a list; an exception is raised."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.over_grpc = self

    def options(self, *, _by_reference: bool) -> Handle:
        return self if _by_reference else self.over_grpc

    def __getattr__(self, method: str) -> Any:
        class Method:
            remote: Callable[..., Any] = staticmethod(self._answer)

        return Method

    async def _answer(self, *args: Any, request_context: RequestContext) -> Any:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def ask(handle: Handle, method: str) -> Any:
    return asyncio.run(getattr(Remote(handle, STAGES["matcher"], 1), method)("tenant"))  # type: ignore[arg-type]


def test_a_read_is_repeated_once() -> None:
    assert ask(Handle(ActorDiedError(), "found"), "search") == "found"
    with pytest.raises(Unavailable, match="restarting"):
        ask(Handle(ActorDiedError(), ActorDiedError()), "search")


def test_a_write_is_not_repeated() -> None:
    handle = Handle(ActorDiedError(), "written twice")
    with pytest.raises(Unavailable, match="died") as died:
        ask(handle, "put_person")
    assert died.value.details == {"outcome": "unknown"}
    assert handle.answers == ["written twice"]


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (BackPressureError(1, 1), Overloaded),
        (DeploymentUnavailableError.__new__(DeploymentUnavailableError), Unavailable),
        (PersonNotFound("no"), PersonNotFound),
    ],
)
def test_other_errors_are_not_repeated(raised: Exception, expected: type[FacegraphError]) -> None:
    handle = Handle(raised, "again")
    with pytest.raises(expected):
        ask(handle, "search")
    assert handle.answers == ["again"]


def test_asking_a_stage_that_may_sleep_does_not_wake_it() -> None:
    handle = Handle("scored")
    liveness = Remote(handle, STAGES["liveness"], 1, may_sleep=True)  # type: ignore[arg-type]
    assert asyncio.run(liveness.ready()) == {}
    assert asyncio.run(liveness.score([])) == "scored"


def test_calls_that_each_search_needs_are_sent_together_and_all_are_reads() -> None:
    batched = [method for kind in STAGES.values() for method in methods(kind.contract) if method.batched]
    assert {method.name for method in batched} == {"detect", "score", "embed", "search"}
    assert all(method.read for method in batched)


@pytest.mark.parametrize(("method", "over_grpc"), [("search", True), ("person", True), ("put_person", False)])
def test_only_what_may_be_made_twice_goes_over_grpc(method: str, over_grpc: bool) -> None:
    """When a replica dies, Serve's gRPC asks another one, begun or not."""
    handle = Handle("by Ray")
    handle.over_grpc = Handle("over gRPC")
    assert ask(handle, method) == ("over gRPC" if over_grpc else "by Ray")


def test_a_call_that_was_cut_off_is_a_lost_one() -> None:
    assert ask(Handle(grpc.RpcError("reset"), "found"), "search") == "found"
