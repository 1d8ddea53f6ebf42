"""Client of a stage in another process, with the methods of the stage itself.

The stage's contract defines the methods and which of them only read. Reads go over gRPC, which takes less processor
time than Ray's actor calls; when a replica dies, Serve cannot tell whether a gRPC call had begun, and asks another
replica. Writes therefore go as actor calls, where Serve can tell, and are never made twice.

Ray's failures become the domain's errors: a full queue is ``Overloaded``; a lost or missing replica is ``Unavailable``,
for reads after a second replica was asked; an error raised by the stage arrives as the exception that was raised.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import grpc  # type: ignore[import-untyped]  # its types are a separate package
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
"""Exceptions of a call whose replica died or cannot be reached."""


async def _scaled_to_zero() -> dict[str, Any]:
    """``ready`` of a stage that can scale to zero: it counts as ready, and no facts are known."""
    return {}


class Remote:
    """Calls ``method(*args)`` of a deployment as ``await remote.method(*args)``.

    Args:
        handle: handle of the deployment, whose class is :class:`~serve_app.serving.deployments.StageReplica`.
        kind: the stage, whose contract defines the methods.
        retry_after_s: seconds that callers are told to wait when the stage's queue is full.
        may_sleep: whether the deployment can scale to zero; then :meth:`ready` must not start a replica.
        limit: number of ongoing calls of one method from which further calls wait and are sent together.
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
            setattr(self, "ready", _scaled_to_zero)  # noqa: B010 - mypy knows no attribute of this name

    def _call(self, method: Method, limit: int) -> Callable[..., Awaitable[Any]]:
        handle = self._over_grpc if method.read else self._actor_calls
        send: Callable[..., Awaitable[Any]] = getattr(handle, method.name).remote
        if method.batched:
            send = CallBatcher(send, lambda calls: self._together(method.name, calls), limit).call

        async def once(*args: Any, **kwargs: Any) -> Any:
            try:
                with tracing.outgoing(f"call {self._name} {method.name}") as trace:
                    request = current()
                    context = RequestContext(request.request_id, request.caller, trace)
                    return await send(*args, **kwargs, request_context=context)
            except BackPressureError:
                raise Overloaded(
                    f"The {self._name} has no room for more requests; try again in {self._retry_after_s} s.",
                    retry_after_s=self._retry_after_s,
                ) from None
            except DeploymentUnavailableError:
                raise Unavailable(f"The {self._name} is restarting; try again.") from None
            except FacegraphError as error:
                # Depending on the transport, the error arrives itself, or as cause of a RayTaskError of the same class.
                cause = error.cause if isinstance(error, RayTaskError) else error
                raise cause from None

        async def call(*args: Any, **kwargs: Any) -> Any:
            try:
                return await once(*args, **kwargs)
            except LOST:
                if not method.read:
                    raise Unavailable(
                        f"The {self._name} died during this request. Either all of its changes were made or none; "
                        f"read the data once the {self._name} is available again to see which.",
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
