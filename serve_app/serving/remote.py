"""A stage in another process, with the methods of the stage itself.

Calls that change nothing go over gRPC, which takes less processor time than Ray's own calls of actors; but when
a replica dies, Serve cannot tell whether it had begun, and asks another one. So calls that change something go Ray's
way, where it can, and are never made twice.

Ray's own failures become the domain's: a full queue is ``Overloaded``, a lost or missing replica is ``Unavailable``,
once a second replica was asked where that is safe, and an error raised over there arrives as the very exception that
was raised. Nothing above this module knows of Ray.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import grpc  # type: ignore[import-untyped]  # its types are a package of their own
from ray.exceptions import RayActorError, RayTaskError
from ray.serve.context import _RequestContext, _serve_request_context
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError
from ray.serve.handle import DeploymentHandle

from serve_app.errors import FacegraphError, Overloaded, Unavailable
from serve_app.observability import tracing
from serve_app.request_context import current
from serve_app.serving.call_batching import Call, CallBatcher, Outcome

REPEATABLE = frozenset(
    {
        *("detect", "score", "embed", "ready"),
        *("search", "verify", "template"),
        *("collection", "collections", "collections_by_id", "collections_named", "collections_slice"),
        *("person", "persons", "persons_slice"),
        *("face", "faces", "face_collections", "face_image", "face_images"),
        *("task", "bulk_report", "embedders", "embedder_change", "left_behind"),
    }
)
"""Methods that change nothing: when a replica dies while it works on one, another replica is asked, once."""

LOST = (RayActorError, grpc.RpcError)
"""What a call ends with whose replica died, or was cut off."""

TOGETHER = frozenset({"detect", "score", "embed", "search"})
"""Methods whose calls are sent together while a stage is busy (:mod:`.coalescing`): those that each search needs."""


def current_request_id() -> str:
    """Of the request that is under way here; empty where none is."""
    context: _RequestContext | None = _serve_request_context.get()
    return context.request_id if context is not None else ""


async def _asleep() -> dict[str, Any]:
    """Ready to be woken, and nothing else is known."""
    return {}


class Remote:
    """Calls ``method(*args)`` of a deployment as ``await remote.method(*args)``.

    Args:
        tell_caller: whether its methods, other than ``ready``, are told who asks.
        may_sleep: it may have no replica: asking whether it is ready must not wake it.
        limit: calls of one method under way from which on further ones wait and are sent together.
    """

    def __init__(
        self,
        handle: DeploymentHandle[Any],
        name: str,
        retry_after_s: int,
        tell_caller: bool = False,
        may_sleep: bool = False,
        limit: int = 1,
    ) -> None:
        self._tell_caller = tell_caller
        if may_sleep:
            self.ready = _asleep
        self._handle = handle
        self._over_grpc = handle.options(_by_reference=False)
        self._name = name
        self._retry_after_s = retry_after_s
        self._batchers = {method: self._batcher(method, limit) for method in TOGETHER}

    def _batcher(self, method: str, limit: int) -> CallBatcher:
        alone = getattr(self._over_grpc, method).remote
        return CallBatcher(alone, partial(self._together, method), limit, current_request_id)

    async def _together(self, method: str, calls: Sequence[Call]) -> Sequence[Outcome]:
        outcomes: Sequence[Outcome] = await self._over_grpc.together.remote(method, calls)
        return outcomes

    def __getattr__(self, method: str) -> Callable[..., Awaitable[Any]]:
        if method.startswith("_"):
            raise AttributeError(method)
        batcher = self._batchers.get(method)
        handle = self._over_grpc if method in REPEATABLE else self._handle
        remote = batcher.call if batcher is not None else getattr(handle, method).remote

        async def once(*args: Any, **kwargs: Any) -> Any:
            if self._tell_caller and method != "ready":
                kwargs["caller"] = current()
            try:
                with tracing.outgoing(f"call {self._name} {method}") as carrier:
                    if carrier is not None:
                        kwargs["trace_parent"] = carrier
                    return await remote(*args, **kwargs)
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
                if method not in REPEATABLE:
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
