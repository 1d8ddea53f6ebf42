"""``/v1/info``, ``/healthz``, ``/readyz``."""

from __future__ import annotations

import asyncio
import logging

from fastapi import APIRouter
from fastapi.responses import Response

from serve_app.api.auth import SearchKey
from serve_app.api.context import Context
from serve_app.api.docs import error_docs
from serve_app.api.native.common import COMMON_ERRORS, reply
from serve_app.api.schemas.meta import Health, InfoAnswer, Ready
from serve_app.errors import Unavailable
from serve_app.stages.protocols import Stage

logger = logging.getLogger(__name__)

router = APIRouter(tags=["service"])

READY_TIMEOUT_S = 3.0
"""A stage that says nothing for so long counts as not ready; below the usual period of a load balancer's probes."""

IMAGE_FORMATS = ["JPEG", "PNG", "WEBP", "BMP"]


@router.get("/v1/info", summary="What is running here", response_model=InfoAnswer, responses=error_docs(*COMMON_ERRORS))
async def info(context: Context, key: SearchKey) -> Response:
    """Versions, models in use, thresholds and limits. Needs the role `search`.

    A liveness model that is configured but could not be had is under `liveness_models_missing`.
    """
    settings = context.settings
    liveness = await context.service.liveness.ready()
    facts = {
        **context.info,
        "models": {
            model: facts
            for model, facts in context.info.get("models", {}).items()
            if facts["task"] != "liveness" or model in liveness.get("models", ())
        },
        "liveness_models_missing": liveness.get("missing", []),
        "limits": settings.limits.model_dump(),
        "image_formats": IMAGE_FORMATS,
        "image_urls": settings.image_urls.enabled,
    }
    return reply(InfoAnswer.model_validate(facts))


@router.get("/healthz", summary="Does the process answer?", response_model=Health)
async def healthz() -> Response:
    """Always 200, without a key."""
    return reply(Health(status="ok"))


@router.get(
    "/readyz",
    summary="Can every stage serve?",
    response_model=Ready,
    responses=error_docs(Unavailable),
)
async def readyz(context: Context) -> Response:
    """200 only when every stage can serve, else 503 with the names of those that cannot. Without a key."""
    service = context.service
    stages: dict[str, Stage] = {
        "detector": service.detector,
        "liveness": service.liveness,
        "embedder": service.embedder,
        "matcher": service.matcher,
    }
    answers = await asyncio.gather(*(_state(name, stage) for name, stage in stages.items()))
    states = dict(zip(stages, answers, strict=True))
    waiting = [name for name, state in states.items() if state != "ready"]
    if waiting:
        raise Unavailable(f"Not ready: {', '.join(waiting)}.", stages=states, retry_after_s=1)
    return reply(Ready(status="ready", stages=states))


async def _state(name: str, stage: Stage) -> str:
    try:
        async with asyncio.timeout(READY_TIMEOUT_S):
            await stage.ready()
    except TimeoutError:
        return "no answer"
    except Exception as error:
        # Anybody may ask: the reason goes to the log, the name to the caller.
        logger.warning("the %s is not ready: %s", name, error)
        return "unavailable"
    return "ready"
