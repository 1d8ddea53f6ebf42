"""The stages as Ray Serve deployments: what a replica adds to a stage, and nothing else."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ray import serve
from ray.serve.config import AutoscalingConfig, BackpressureConfig
from ray.serve.context import _RequestContext, _serve_request_context
from ray.serve.deployment import Deployment
from ray.serve.handle import DeploymentHandle
from starlette.types import ASGIApp, Receive, Scope, Send

from serve_app.api.request_guard import request_id_of
from serve_app.errors import FacegraphError
from serve_app.observability import store_metrics, tracing
from serve_app.observability.logs import join_serve_log
from serve_app.observability.metrics import ServeMetrics, StoreMetrics, http_observer
from serve_app.serving.call_batching import Call, Outcome
from serve_app.serving.http_server import HttpServer
from serve_app.serving.ingress import Ingress
from serve_app.serving.remote import Remote, current_request_id
from serve_app.serving.socket_handoff import receive_socket
from serve_app.settings import ServeOptions, Settings, StageSettings
from serve_app.stages.detector import DetectorStage
from serve_app.stages.embedder import EmbedderStage
from serve_app.stages.liveness import LivenessStage
from serve_app.stages.matcher import MatcherStage

log = logging.getLogger(__name__)


class Replica:
    """What the replicas of all stages have besides: several calls may be sent to them as one."""

    async def together(self, method: str, calls: Sequence[Call]) -> list[Outcome]:
        """Make these calls of a method at the same time; as many outcomes, in their order."""
        return await asyncio.gather(*(self._one(method, call) for call in calls))

    async def _one(self, method: str, call: Call) -> Outcome:
        context: _RequestContext = _serve_request_context.get() or _RequestContext()
        _serve_request_context.set(replace(context, request_id=call.request_id))  # type: ignore[arg-type]  # as below
        try:
            return Outcome(await getattr(self, method)(*call.args, **call.kwargs))
        except FacegraphError as error:
            return Outcome(error=error)
        except Exception as error:  # of a kind that may not exist where it is sent to
            log.exception("%s failed", method)
            return Outcome(error=RuntimeError(f"{method} failed: {error!r}"))


@tracing.continues_traces
class DetectorReplica(Replica, DetectorStage):
    """One replica of the detector."""

    def __init__(self, settings: Settings) -> None:
        join_serve_log()
        tracing.start(settings, "Detector")
        super().__init__(settings, ServeMetrics)

    async def __del__(self) -> None:  # Serve awaits it once, after the last request
        await self.close()
        tracing.stop()


@tracing.continues_traces
class LivenessReplica(Replica, LivenessStage):
    """One replica of the liveness scorer."""

    def __init__(self, settings: Settings) -> None:
        join_serve_log()
        tracing.start(settings, "Liveness")
        super().__init__(settings, ServeMetrics)

    async def __del__(self) -> None:
        await self.close()
        tracing.stop()


@tracing.continues_traces
class EmbedderReplica(Replica, EmbedderStage):
    """One replica of the embedder."""

    def __init__(self, settings: Settings) -> None:
        join_serve_log()
        tracing.start(settings, "Embedder")
        super().__init__(settings, ServeMetrics)

    async def __del__(self) -> None:
        await self.close()
        tracing.stop()


@tracing.continues_traces
class MatcherReplica(Replica, MatcherStage):
    """One replica of the matcher."""

    def __init__(self, settings: Settings) -> None:
        join_serve_log()
        tracing.start(settings, "Matcher")
        store_metrics.listen(StoreMetrics())
        super().__init__(settings, ServeMetrics)

    async def __del__(self) -> None:
        await self.close()
        tracing.stop()


@serve.ingress()
@tracing.begins_traces(current_request_id)
class IngressReplica(Ingress):
    """One replica of the ingress; the stages that get no handle run inside it."""

    def __init__(
        self,
        settings: Settings,
        matcher: DeploymentHandle[Any] | None = None,
        detector: DeploymentHandle[Any] | None = None,
        liveness: DeploymentHandle[Any] | None = None,
        embedder: DeploymentHandle[Any] | None = None,
    ) -> None:
        join_serve_log()
        tracing.start(settings, "Ingress")
        store_metrics.listen(StoreMetrics())  # the ingress reads keys
        super().__init__(
            settings,
            remote(matcher, "matcher", settings.matcher, tell_caller=True) if matcher else None,
            remote(detector, "detector", settings.detector) if detector else None,
            remote(liveness, "liveness scorer", settings.liveness) if liveness else None,
            remote(embedder, "embedder", settings.embedder) if embedder else None,
            ServeMetrics,
            replica_states,
        )

        self._ingress_settings = settings.ingress
        self._server: HttpServer | None = None

    async def __serve_build_asgi_app__(self) -> Any:  # called by Serve once the constructor is through
        app = self.build_http_app()
        options = self._ingress_settings
        if options.listener is not None:
            listening = receive_socket(options.listener)
            self._server = HttpServer(in_serve_context(app), listening, http_observer())
        return app

    async def check_health(self) -> None:
        """Called by Serve: raises when the replica no longer listens, so that another takes its place."""
        if self._server is not None and self._server.failed:
            raise RuntimeError("the HTTP server has ended")

    async def __del__(self) -> None:
        if self._server is not None:
            await self._server.close()
        await self.close()
        tracing.stop()


def replica_states() -> Mapping[str, Mapping[str, int]]:
    """Replicas of this application's deployments by state, from Serve's controller. Blocking; only inside a replica."""
    application = serve.status().applications[serve.get_replica_context().app_name]
    return {
        # Declared as an enumeration, but Serve fills in plain strings.
        name: {getattr(state, "value", state): count for state, count in deployment.replica_states.items() if count}
        for name, deployment in application.deployments.items()
    }


def in_serve_context(app: ASGIApp) -> ASGIApp:
    """Give requests the id and the context that they would have from Serve's proxy: its logs and handles tell them."""
    name = serve.get_replica_context().app_name

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            request_id = request_id_of(dict(scope["headers"]).get(b"x-request-id", b""))
            others = [header for header in scope["headers"] if header[0] != b"x-request-id"]
            scope["headers"] = [*others, (b"x-request-id", request_id.encode())]
            # Not is_http_request, which would hand on answers of other stages as the bytes that they came in.
            context = _RequestContext(route=scope["path"], request_id=request_id, app_name=name)
            _serve_request_context.set(context)  # type: ignore[arg-type]  # declared as holding None
        await app(scope, receive, send)

    return wrapped


REPLICA_ENVIRONMENT = {
    # Our handlers never block, so one event loop a replica will do, which saves two thread switches a call.
    "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "0",
    "RAY_SERVE_RUN_ROUTER_IN_SEPARATE_LOOP": "0",
    "RAY_SERVE_LOG_TO_STDERR": "0",
    # Serve's limit of 4 MiB for a gRPC message is less than a photograph; ours are the settings' limits.
    "RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH": str(2**30),
}
"""Serve's own tuning for replicas alone, unless the environment of whoever deploys says otherwise: a driver that uses
handles from synchronous code could not run with it."""


def remote(handle: DeploymentHandle[Any], name: str, stage: StageSettings, tell_caller: bool = False) -> Any:
    """The stage behind the handle: it has the methods of the stage's protocol, which Python cannot see from here."""
    options = stage.serve
    may_sleep = options.autoscaling.min_replicas == 0
    return Remote(handle, name, options.retry_after_s, tell_caller, may_sleep, options.calls_at_full_size)


def deployment(replica: type, name: str, options: ServeOptions, alone: bool = False) -> Deployment:
    """A deployment of this replica class with these options.

    Args:
        alone: never two replicas at the same time, not even while one replaces the other.
    """
    autoscaling = AutoscalingConfig(**options.autoscaling.model_dump())
    made: Deployment = serve.deployment(  # type: ignore[assignment]  # its overloads miss this form
        replica,
        name=name,
        autoscaling_config=autoscaling,
        ray_actor_options={
            "num_cpus": options.num_cpus,
            "num_gpus": options.num_gpus,
            "runtime_env": {"env_vars": {name: os.environ.get(name, v) for name, v in REPLICA_ENVIRONMENT.items()}},
        },
        max_ongoing_requests=options.max_ongoing_requests,
        max_queued_requests=options.max_queued_requests,
        backpressure_config=BackpressureConfig(status_code=429, retry_after_s=options.retry_after_s),
        health_check_period_s=options.health_check_period_s,
        health_check_timeout_s=options.health_check_timeout_s,
        graceful_shutdown_timeout_s=options.graceful_shutdown_timeout_s,
        max_surge_percent=0 if alone else options.max_surge_percent,
    )
    return made
