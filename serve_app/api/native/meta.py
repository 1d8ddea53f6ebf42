"""``/v1/embedder``, ``/v1/info``, ``/v1/status``, ``/healthz``, ``/readyz``."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from serve_app.api.api_context import ApiContext, Context
from serve_app.api.error_docs import error_docs
from serve_app.api.native.access import AdminKey, SearchKey
from serve_app.api.parameters import Cursor, Limit
from serve_app.api.replies import reply
from serve_app.api.schemas import meta as schemas
from serve_app.contracts import Stage
from serve_app.errors import Unavailable
from serve_app.observability.recent_statistics import WINDOW_S, RecentStatistics
from serve_app.vision import image_formats

logger = logging.getLogger(__name__)

router = APIRouter(tags=["service"])

READY_TIMEOUT_S = 3.0
"""A stage without an answer for this long counts as not ready; shorter than the usual period of health checks."""

READY = "ready"


@router.get(
    "/v1/embedder",
    summary="The embedder, and the progress of a change",
    response_model=schemas.EmbedderView,
    responses=error_docs(),
)
async def embedder(context: Context, key: AdminKey) -> Response:
    """The active embedder and the progress of a change; counts are those of the key's tenant. Needs the role `admin`.

    A change is made in the configuration, for all tenants: searches use the active model until the target has embedded
    every face.
    """
    return reply(schemas.EmbedderView.of(await context.service.matcher.embedder_change(key.tenant_id)))


@router.get(
    "/v1/embedder/left-behind",
    summary="Persons to enrol again for a change of the embedder",
    response_model=schemas.LeftBehindPage,
    responses=error_docs(),
)
async def left_behind(context: Context, key: AdminKey, limit: Limit = 100, cursor: Cursor = None) -> Response:
    """Persons by id, then unassigned faces, without a stored crop. Needs the role `admin`."""
    page = await context.service.matcher.left_behind(key.tenant_id, limit, cursor)
    return reply(schemas.LeftBehindPage(left_behind=page.items, cursor=page.cursor))


@router.get(
    "/v1/info", summary="Versions, models and limits", response_model=schemas.InfoAnswer, responses=error_docs()
)
async def info(context: Context, key: SearchKey) -> Response:
    """Versions, models in use, thresholds and limits, and the request's key. Needs the role `search`.

    `embedder` is the model that searches use, which differs from the configured one during a change of the embedder.
    Configured liveness models that are not available are in `liveness_models_missing`.
    """
    settings = context.settings
    liveness = await context.service.liveness.ready()
    facts = {
        **context.info,
        "models": {
            model: facts
            for model, facts in context.info.get("models", {}).items()
            if facts["task"] != "liveness" or model in liveness.get("models", settings.liveness.models)
        },
        "key": key,
        "embedder": (await context.service.embedders_in_use()).active,
        "liveness_models_missing": liveness.get("missing", []),
        "limits": settings.limits.model_dump(),
        "image_formats": [each.name for each in image_formats.READ],
        "image_urls": settings.image_urls.enabled,
    }
    return reply(schemas.InfoAnswer.model_validate(facts))


@router.get("/v1/status", summary="The state of the graph", response_model=schemas.StatusAnswer, responses=error_docs())
async def status(request: Request, context: Context, key: AdminKey) -> Response:
    """Stages, replicas, queues, latency and refusals of the last minute, and warnings. Needs the role `admin`.

    With several ingress replicas, the figures are those of the replica that answers; `replicas` counts all replicas.
    """
    stages = await _states(context)
    replicas = await run_in_threadpool(context.replicas) if context.replicas else {}
    views = [
        schemas.StageView(
            **schemas.StageView.fields_of(context.statistics.get(name) or RecentStatistics()),
            name=name,
            ready=state == READY,
            message="" if state == READY else state,
            replicas=_counts(replicas, name),
            waiting=facts.get("waiting"),
        )
        for name, (state, facts) in stages.items()
    ]
    return reply(
        schemas.StatusAnswer(
            topology=context.settings.topology,
            topology_reason=context.settings.topology_reason,
            window_s=WINDOW_S,
            ingress_replicas=_counts(replicas, "ingress"),
            requests=schemas.TrafficView.of(request.app.state.traffic),
            stages=views,
            warnings=[
                schemas.WarningView(code=code, message=message)
                for _, facts in stages.values()
                for code, message in facts.get("warnings", {}).items()
            ],
        )
    )


def _counts(replicas: Mapping[str, Mapping[str, int]], stage: str) -> dict[str, int] | None:
    found = replicas.get(stage.capitalize())  # deployments have the names of their stages, capitalised
    return None if found is None else dict(found)


@router.get("/healthz", summary="Liveness check", response_model=schemas.Health)
async def healthz() -> Response:
    """Always 200 while the process answers. Needs no key."""
    return reply(schemas.Health(status="ok"))


@router.get(
    "/readyz", summary="Readiness check", response_model=schemas.Ready, responses=error_docs(Unavailable, common=())
)
async def readyz(context: Context) -> Response:
    """200 if every stage can serve, otherwise 503 with the names of those that cannot. Needs no key."""
    states = {name: state for name, (state, _) in (await _states(context)).items()}
    waiting = [name for name, state in states.items() if state != READY]
    if waiting:
        raise Unavailable(f"Not ready: {', '.join(waiting)}.", stages=states, retry_after_s=1)
    return reply(schemas.Ready(status=READY, stages=states))


async def _states(context: ApiContext) -> dict[str, tuple[str, Mapping[str, Any]]]:
    """State and reported facts of each stage."""
    names = ("detector", "liveness", "embedder", "matcher")
    states = await asyncio.gather(*(_state(name, getattr(context.service, name)) for name in names))
    return dict(zip(names, states, strict=True))


async def _state(name: str, stage: Stage) -> tuple[str, Mapping[str, Any]]:
    try:
        async with asyncio.timeout(READY_TIMEOUT_S):
            return READY, await stage.ready()
    except TimeoutError:
        return "no answer", {}
    except Exception as error:
        # The endpoint is public: the reason goes to the log, the caller gets only the stage's name.
        logger.warning("the %s is not ready: %s", name, error)
        return "unavailable", {}
