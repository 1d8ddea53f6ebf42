"""``/v1/tasks/{id}/events``: progress of a task as server-sent events."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from fastapi import APIRouter
from fastapi.responses import Response, StreamingResponse

from serve_app.api.api_context import Context
from serve_app.api.auth import EnrollKey
from serve_app.api.error_docs import COMMON_ERRORS, error_docs
from serve_app.api.native.parameters import InPathTask
from serve_app.api.schemas.tasks import TaskView
from serve_app.errors import FacegraphError, TaskNotFound

router = APIRouter(tags=["tasks"])

PERIOD_S = 0.5
SILENCE_S = 10.0
"""Without a change for this long, a comment is sent, so that no proxy closes the connection as idle."""

SHARE_OF_TIMEOUT = 0.8
"""Share of the request timeout after which the stream ends; clients connect again by themselves."""

EVENTS = "text/event-stream"
EVENT = {"type": "object", "properties": {"event": {"const": "task"}, "data": {"type": "string"}}}
EXAMPLE = 'event: task\ndata: {"id": "5f0c6d7e8a9b4c1d8e2f3a4b5c6d7e8f", "state": "running", ...}\n\n'


@router.get(
    "/v1/tasks/{task_id}/events",
    summary="Follow a task",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "Events `task` with the same data as `GET /v1/tasks/{task_id}`.",
            "content": {EVENTS: {"schema": EVENT, "example": EXAMPLE}},
        },
        **error_docs(*COMMON_ERRORS, TaskNotFound),
    },
)
async def task_events(task_id: InPathTask, context: Context, key: EnrollKey) -> Response:
    """Server-sent events: the task at once, then after each change, and last when `state` is final. The stream also
    ends after some time; connect again then, as browsers' `EventSource` does. Needs the role `enroll`.
    """
    # Not fastapi.sse: it starts the response before the handler runs, so an unknown task would not be a 404, adds its
    # own Cache-Control header, and documents errors as text/event-stream.
    matcher = context.service.matcher
    first = TaskView.of(await matcher.task(key.tenant_id, task_id))
    until = time.monotonic() + SHARE_OF_TIMEOUT * context.settings.ingress.request_timeout_s

    async def events() -> AsyncIterator[str]:
        yield "retry: 1000\n\n" + _event(first)
        view, sent = first, time.monotonic()
        while not view.state.is_final and time.monotonic() < until:
            await asyncio.sleep(PERIOD_S)
            try:
                now = TaskView.of(await matcher.task(key.tenant_id, task_id))
            except FacegraphError:
                return  # the client connects again and gets the error as an ordinary response
            if now != view:
                view, sent = now, time.monotonic()
                yield _event(view)
            elif time.monotonic() - sent >= SILENCE_S:
                sent = time.monotonic()
                yield ": still the same\n\n"

    return StreamingResponse(events(), headers={"Cache-Control": "no-store"}, media_type=EVENTS)


def _event(view: TaskView) -> str:
    return f"event: task\ndata: {view.model_dump_json()}\n\n"
