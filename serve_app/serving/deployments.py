"""Ray Serve deployments of the ingress and the stages."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from ray import serve
from ray.serve.config import AutoscalingConfig, BackpressureConfig
from ray.serve.deployment import Deployment
from ray.serve.handle import DeploymentHandle
from starlette.types import ASGIApp, Receive, Scope, Send

from serve_app.api.request_guard import request_id_of
from serve_app.contracts import methods, named
from serve_app.errors import FacegraphError
from serve_app.observability import store_metrics, tracing
from serve_app.observability.logs import join_serve_log
from serve_app.observability.metrics import ServeMetrics, StoreMetrics, http_observer
from serve_app.process_environment import QUIET, REPLICA_ENVIRONMENT
from serve_app.request_context import RequestContext, enter
from serve_app.serving.call_batching import Call, Outcome
from serve_app.serving.connection_bounds import ConnectionBounds
from serve_app.serving.http_server import HttpServer
from serve_app.serving.ingress import Ingress
from serve_app.serving.ray_private import LateAsgiApp, set_serve_request, set_serve_request_id
from serve_app.serving.remote import Remote
from serve_app.serving.socket_handoff import receive_socket
from serve_app.serving.stage_kinds import STAGES
from serve_app.settings import ServeOptions, Settings

log = logging.getLogger(__name__)


class StageReplica:
    """One replica of the stage with this name in :data:`~.stage_kinds.STAGES`.

    It has the methods of the stage's contract. Each takes an additional argument ``request_context``: the request that
    the call belongs to.
    """

    def __init__(self, stage: str, settings: Settings) -> None:
        _start_observing(settings, stage.capitalize())
        kind = STAGES[stage]
        self._stage = kind.make(settings, ServeMetrics)
        offer(self, self._stage, kind.contract)

    async def together(self, method: str, calls: Sequence[Call]) -> list[Outcome]:
        """Make several calls of a method concurrently; returns their outcomes in the same order."""
        return await asyncio.gather(*(self._one(method, call) for call in calls))

    async def _one(self, method: str, call: Call) -> Outcome:
        set_serve_request_id(call.kwargs["request_context"].request_id)
        try:
            return Outcome(await getattr(self, method)(*call.args, **call.kwargs))
        except FacegraphError as error:
            return Outcome(error=error)
        except Exception as error:  # its class might not exist in the process that the outcome is sent to
            log.exception("%s failed", method)
            return Outcome(error=RuntimeError(f"{method} failed: {error!r}"))

    async def check_health(self) -> None:
        """Called by Serve; any response counts as healthy. Faults that no restart repairs appear in ``ready``."""

    async def __del__(self) -> None:  # Serve awaits it once, after the last request
        await self._stage.close()
        tracing.stop()


def offer(replica: Any, stage: Any, contract: type) -> None:
    """Add the contract's methods to the replica: the stage's, each with the additional argument ``request_context``."""
    for method in methods(contract):
        setattr(replica, method.name, named(method, _in_context(getattr(stage, method.name))))


def _in_context(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    # Not "context": Serve's gRPC passes an argument of that name.
    async def call(*args: Any, request_context: RequestContext, **kwargs: Any) -> Any:
        enter(request_context)
        with tracing.continued(request_context.trace):
            return await method(*args, **kwargs)

    return call


@serve.ingress()
class IngressReplica(Ingress, LateAsgiApp):
    """One replica of the ingress; the stages without a deployment's handle in ``handles`` run inside it."""

    def __init__(self, settings: Settings, **handles: DeploymentHandle[Any]) -> None:
        _start_observing(settings, "Ingress")
        stages = {name: remote(handle, name, settings) for name, handle in handles.items()}
        super().__init__(settings, stages, ServeMetrics, replica_states)
        self._options = settings.ingress
        self._server: HttpServer | None = None

    def build_http_app(self) -> ASGIApp:
        """The HTTP application; with ``ingress.listener`` the replica serves it itself on the socket from there."""
        app = super().build_http_app()
        if self._options.listener is not None:
            listening = receive_socket(self._options.listener)
            bounds = ConnectionBounds(connections=self._options.max_connections)
            self._server = HttpServer(in_serve_context(app), listening, http_observer(), bounds)
        return app

    async def check_health(self) -> None:
        """Called by Serve; raises when the replica no longer listens, so that Serve replaces it."""
        if self._server is not None and self._server.failed:
            raise RuntimeError("the HTTP server has ended")

    async def __del__(self) -> None:
        if self._server is not None:
            await self._server.close()
        await self.close()
        tracing.stop()


def _start_observing(settings: Settings, process: str) -> None:
    join_serve_log()
    tracing.start(settings, process)
    store_metrics.listen(StoreMetrics())


def remote(handle: DeploymentHandle[Any], stage: str, settings: Settings) -> Remote:
    """The remote stage of a deployment's handle."""
    options: ServeOptions = getattr(settings, stage).serve
    scales_to_zero = options.autoscaling.min_replicas == 0
    return Remote(handle, STAGES[stage], options.retry_after_s, scales_to_zero, options.calls_at_full_size)


def replica_states() -> Mapping[str, Mapping[str, int]]:
    """Deployment -> state -> number of replicas, from Serve's controller. Blocks; works only inside a replica."""
    application = serve.status().applications[serve.get_replica_context().app_name]
    return {
        # The states are declared as an enumeration, but Serve fills in plain strings.
        name: {getattr(state, "value", state): count for state, count in deployment.replica_states.items() if count}
        for name, deployment in application.deployments.items()
    }


def in_serve_context(app: ASGIApp) -> ASGIApp:
    """Wrap ``app`` so that requests have the context that Serve's proxy would set, for logs and handles."""
    name = serve.get_replica_context().app_name

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            set_serve_request(scope["path"], request_id_of(scope), name)
        await app(scope, receive, send)

    return wrapped


def deployment(replica: type, name: str, options: ServeOptions, alone: bool = False, attempts: int = 3) -> Deployment:
    """A deployment of a replica class.

    ``alone`` never runs two replicas, not even while one replaces the other. The deployment fails when that many
    ``attempts`` to start a first replica have failed.
    """
    environment = QUIET | {key: os.environ.get(key, default) for key, default in REPLICA_ENVIRONMENT.items()}
    made: Deployment = serve.deployment(  # type: ignore[assignment]  # its overloads miss this form
        replica,
        name=name,
        autoscaling_config=AutoscalingConfig(**options.autoscaling.model_dump()),
        ray_actor_options={
            "num_cpus": options.num_cpus,
            "num_gpus": options.num_gpus,
            "runtime_env": {"env_vars": environment},
        },
        max_ongoing_requests=options.max_ongoing_requests,
        max_queued_requests=options.max_queued_requests,
        backpressure_config=BackpressureConfig(status_code=429, retry_after_s=options.retry_after_s),
        health_check_period_s=options.health_check_period_s,
        health_check_timeout_s=options.health_check_timeout_s,
        graceful_shutdown_timeout_s=options.graceful_shutdown_timeout_s,
        max_constructor_retry_count=attempts,
        max_surge_percent=0 if alone else options.max_surge_percent,
    )
    return made
