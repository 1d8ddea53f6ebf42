"""The stages as Ray Serve deployments: what a replica adds to a stage, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray import serve
from ray.serve.config import AutoscalingConfig, BackpressureConfig
from ray.serve.deployment import Deployment
from ray.serve.handle import DeploymentHandle

from serve_app.settings import ServeOptions, Settings, StageSettings
from serve_app.stages.detector import DetectorStage
from serve_app.stages.embedder import EmbedderStage
from serve_app.stages.ingress import Ingress
from serve_app.stages.liveness import LivenessStage
from serve_app.stages.logs import join_serve_log
from serve_app.stages.matcher import MatcherStage
from serve_app.stages.metrics import ServeMetrics
from serve_app.stages.remote import Remote


class DetectorReplica(DetectorStage):
    """One replica of the detector."""

    def __init__(self, settings: Settings) -> None:
        join_serve_log()
        super().__init__(settings, ServeMetrics)

    async def __del__(self) -> None:  # Serve awaits it once, after the last request
        await self.close()


class LivenessReplica(LivenessStage):
    """One replica of the liveness scorer."""

    def __init__(self, settings: Settings) -> None:
        join_serve_log()
        super().__init__(settings, ServeMetrics)

    async def __del__(self) -> None:
        await self.close()


class EmbedderReplica(EmbedderStage):
    """One replica of the embedder."""

    def __init__(self, settings: Settings) -> None:
        join_serve_log()
        super().__init__(settings, ServeMetrics)

    async def __del__(self) -> None:
        await self.close()


class MatcherReplica(MatcherStage):
    """One replica of the matcher."""

    def __init__(self, settings: Settings) -> None:
        join_serve_log()
        super().__init__(settings, ServeMetrics)

    async def __del__(self) -> None:
        await self.close()


@serve.ingress()
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
        super().__init__(
            settings,
            remote(matcher, "matcher", settings.matcher, tell_caller=True) if matcher else None,
            remote(detector, "detector", settings.detector) if detector else None,
            remote(liveness, "liveness scorer", settings.liveness) if liveness else None,
            remote(embedder, "embedder", settings.embedder) if embedder else None,
            ServeMetrics,
            replica_states,
        )

    def __serve_build_asgi_app__(self) -> Any:  # called by Serve once the constructor is through
        return self.build_http_app()

    async def __del__(self) -> None:
        await self.close()


def replica_states() -> Mapping[str, Mapping[str, int]]:
    """Replicas of this application's deployments by state, from Serve's controller. Blocking; only inside a replica."""
    application = serve.status().applications[serve.get_replica_context().app_name]
    return {
        name: {state.value: count for state, count in deployment.replica_states.items() if count}
        for name, deployment in application.deployments.items()
    }


REPLICA_ENVIRONMENT = {
    # Our handlers never block, so one event loop a replica will do, which saves two thread switches a call.
    "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "0",
    "RAY_SERVE_RUN_ROUTER_IN_SEPARATE_LOOP": "0",
    "RAY_SERVE_LOG_TO_STDERR": "0",
}
"""Serve's own tuning for replicas alone: a driver that uses handles from synchronous code could not run with it."""


def remote(handle: DeploymentHandle[Any], name: str, stage: StageSettings, tell_caller: bool = False) -> Any:
    """The stage behind the handle: it has the methods of the stage's protocol, which Python cannot see from here."""
    return Remote(handle, name, stage.serve.retry_after_s, tell_caller)


def deployment(replica: type, name: str, options: ServeOptions) -> Deployment:
    """A deployment of this replica class with these options."""
    autoscaling = AutoscalingConfig(**options.autoscaling.model_dump())
    made: Deployment = serve.deployment(  # type: ignore[assignment]  # its overloads miss this form
        replica,
        name=name,
        autoscaling_config=autoscaling,
        ray_actor_options={
            "num_cpus": options.num_cpus,
            "num_gpus": options.num_gpus,
            "runtime_env": {"env_vars": REPLICA_ENVIRONMENT},
        },
        max_ongoing_requests=options.max_ongoing_requests,
        max_queued_requests=options.max_queued_requests,
        backpressure_config=BackpressureConfig(status_code=429, retry_after_s=options.retry_after_s),
        health_check_period_s=options.health_check_period_s,
        health_check_timeout_s=options.health_check_timeout_s,
        graceful_shutdown_timeout_s=options.graceful_shutdown_timeout_s,
    )
    return made
