"""A stage in another process, with the methods of the stage itself.

Which methods there are, and which of them only read, comes from the stage's contract. Reads go over gRPC, which takes
less processor time than Ray's actor calls; when a replica dies, Serve cannot tell whether a gRPC call had begun and
asks another replica. Writes therefore go as actor calls, where it can tell, and are never made twice.

Ray's failures become the domain's errors: a full queue is ``Overloaded``; a lost or missing replica is ``Unavailable``,
for reads after a second replica was asked; an error raised by the stage arrives as the exception that was raised.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import grpc  # type: ignore[import-untyped]  # its types are a package of their own
from ray.exceptions import RayActorError, RayTaskError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError
from ray.serve.handle import DeploymentHandle

from serve_app.contracts import Method, methods, named
from serve_app.errors import FacegraphError, Overloaded, Unavailable
from serve_app.observability import tracing
from serve_app.request_context import RequestContext, current
from serve_app.serving.call_batching import Call, CallBatcher, Outcome
from serve_app.serving.ray_private import over_grpc
from serve_app.serving.stage_kinds import StageKind

LOST = (RayActorError, grpc.RpcError)
"""Exceptions of a call whose replica died or was cut off."""

BATCHED = frozenset({"detect", "score", "embed", "search"})
"""Methods whose calls are sent together while a stage is busy (:mod:`.call_batching`): those that each search needs."""


async def _asleep() -> dict[str, Any]:
    """``ready`` of a stage that may have no replica: it can be woken, and nothing else is known."""
    return {}


class Remote:
    """Calls ``method(*args)`` of a deployment as ``await remote.method(*args)``.

    Args:
        handle: of the deployment, whose class is :class:`~serve_app.serving.deployments.StageReplica`.
        kind: the stage: its contract says which methods there are.
        retry_after_s: what callers are told when its queue is full.
        may_sleep: it may have no replica: :meth:`ready` must not wake one.
        limit: calls of one method under way from which on further ones wait and are sent together.
    """

    def __init__(
        self,
        handle: DeploymentHandle[Any],
        kind: StageKind,
        retry_after_s: int,
        may_sleep: bool = False,
        limit: int = 1,
    ) -> None:
        self._actor_calls = handle
        self._over_grpc = over_grpc(handle)
        self._name = kind.title
        self._retry_after_s = retry_after_s
        for method in methods(kind.contract):
            setattr(self, method.name, named(method, self._call(method, limit)))
        if may_sleep:
            setattr(self, "ready", _asleep)  # noqa: B010 - mypy knows no attribute of this name

    def _call(self, method: Method, limit: int) -> Callable[..., Awaitable[Any]]:
        handle = self._over_grpc if method.read else self._actor_calls
        send: Callable[..., Awaitable[Any]] = getattr(handle, method.name).remote
        if method.name in BATCHED:
            send = CallBatcher(send, lambda calls: self._together(method.name, calls), limit).call

        async def once(*args: Any, **kwargs: Any) -> Any:
            try:
                with tracing.outgoing(f"call {self._name} {method.name}") as trace:
                    here = current()
                    return await send(
                        *args, **kwargs, request_context=RequestContext(here.request_id, here.caller, trace)
                    )
            except BackPressureError:
                raise Overloaded(
                    f"The {self._name} has no room for more requests; try again in {self._retry_after_s} s.",
                    retry_after_s=self._retry_after_s,
                ) from None
            except DeploymentUnavailableError:
                raise Unavailable(f"The {self._name} is restarting; try again.") from None
            except FacegraphError as error:
                # Depending on the transport, the error comes bare or inside a RayTaskError that also claims its class.
                cause = error.cause if isinstance(error, RayTaskError) else error
                raise cause from None

        async def call(*args: Any, **kwargs: Any) -> Any:
            try:
                return await once(*args, **kwargs)
            except LOST:
                if not method.read:
                    raise Unavailable(
                        f"The {self._name} died while it worked on this. All of it was written or nothing; which one "
                        "can be read when it is back.",
                        outcome="unknown",
                    ) from None
            try:
                return await once(*args, **kwargs)
            except LOST:
                raise Unavailable(f"The {self._name} is restarting; try again.") from None

        return call

    async def _together(self, method: str, calls: Sequence[Call]) -> Sequence[Outcome]:
        outcomes: Sequence[Outcome] = await self._over_grpc.together.remote(method, calls)
        return outcomes
