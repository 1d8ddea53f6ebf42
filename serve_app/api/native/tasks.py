"""``/v1/collections/{name}/duplicates`` and ``/v1/tasks``: background tasks, their progress, and duplicates."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response, StreamingResponse

from serve_app.api.api_context import Context
from serve_app.api.error_docs import BODY_ERRORS, error_docs
from serve_app.api.native.access import EnrollKey
from serve_app.api.parameters import Cursor, InPathCollection, InPathPerson, InPathTask, Limit
from serve_app.api.replies import reply
from serve_app.api.request_bodies import body_docs, read_body
from serve_app.api.schemas.tasks import DistinctBody, DistinctView, DuplicatePage, DuplicatesBody, TaskList, TaskView
from serve_app.domain import ThresholdRequest
from serve_app.errors import CollectionNotFound, FacegraphError, PersonNotFound, TaskNotFound, TaskRunning

router = APIRouter(tags=["tasks"])

PERIOD_S = 0.5
SILENCE_S = 10.0
"""Without a change for this long, a comment is sent, so that no proxy closes the connection as idle."""

SHARE_OF_TIMEOUT = 0.8
"""Share of the request timeout after which the stream ends; clients connect again by themselves."""

EVENTS = "text/event-stream"
EVENT = {"type": "object", "properties": {"event": {"const": "task"}, "data": {"type": "string"}}}
EXAMPLE = 'event: task\ndata: {"id": "5f0c6d7e8a9b4c1d8e2f3a4b5c6d7e8f", "state": "running", ...}\n\n'

WithDistinct = Annotated[bool, Query(description="Include pairs that are recorded as different people.")]


@router.post(
    "/v1/collections/{name}/duplicates",
    summary="Find persons who were enrolled twice",
    status_code=202,
    response_model=TaskView,
    responses=error_docs(*BODY_ERRORS, CollectionNotFound, TaskRunning),
    openapi_extra=body_docs(DuplicatesBody, {"min_score": 0.85}),
)
async def find_duplicates(name: InPathCollection, request: Request, context: Context, key: EnrollKey) -> Response:
    """Starts a task that compares all faces of a collection with one another, exactly. Needs the role `enroll`.

    Only templates of the model in use are compared. The task continues after a restart of the service, fails after a
    day, and fails if it finds more than 100,000 pairs. Faces that are enrolled meanwhile can be missing.
    """
    body = await read_body(request, context, DuplicatesBody)
    threshold = ThresholdRequest(body.min_score, body.fpir)
    return reply(TaskView.of(await context.service.find_duplicates(key.tenant_id, name, threshold)), 202)


@router.get("/v1/tasks", summary="List tasks", response_model=TaskList, responses=error_docs())
async def list_tasks(context: Context, key: EnrollKey, limit: Limit = 100) -> Response:
    """The tasks of the past week, newest first. Needs the role `enroll`."""
    return reply(TaskList(tasks=await context.service.matcher.tasks(key.tenant_id, limit)))


@router.get("/v1/tasks/{task_id}", summary="One task", response_model=TaskView, responses=error_docs(TaskNotFound))
async def get_task(task_id: InPathTask, context: Context, key: EnrollKey) -> Response:
    """The task's progress. Poll about once a second until `state` is final. Needs the role `enroll`."""
    return reply(TaskView.of(await context.service.matcher.task(key.tenant_id, task_id)))


@router.delete(
    "/v1/tasks/{task_id}", summary="Cancel a task", response_model=TaskView, responses=error_docs(TaskNotFound)
)
async def cancel_task(task_id: InPathTask, context: Context, key: EnrollKey) -> Response:
    """Stops the task within a second; results are kept. A finished task does not change. Needs the role `enroll`."""
    return reply(TaskView.of(await context.service.matcher.cancel_task(key.tenant_id, task_id)))


@router.get(
    "/v1/tasks/{task_id}/duplicates",
    summary="The duplicates that a task found",
    response_model=DuplicatePage,
    responses=error_docs(TaskNotFound),
)
async def list_duplicates(
    task_id: InPathTask,
    context: Context,
    key: EnrollKey,
    limit: Limit = 100,
    cursor: Cursor = None,
    with_distinct: WithDistinct = False,
) -> Response:
    """Pairs of persons, most similar first; those found so far, if the task is not done. Needs the role `enroll`."""
    page = await context.service.matcher.duplicates(key.tenant_id, task_id, limit, cursor, with_distinct)
    return reply(DuplicatePage(pairs=page.items, cursor=page.cursor))


@router.post(
    "/v1/collections/{name}/persons/{person_id}/distinct",
    summary="Record two persons as different people",
    response_model=DistinctView,
    responses=error_docs(*BODY_ERRORS, CollectionNotFound, PersonNotFound),
    openapi_extra=body_docs(DistinctBody, {"person_id": "eve"}),
)
async def tell_apart(
    name: InPathCollection, person_id: InPathPerson, request: Request, context: Context, key: EnrollKey
) -> Response:
    """Records that two persons of the collection are different people. Duplicates of any collection then leave out the
    pair, except with `with_distinct`. The record lasts until one of the persons is erased. Needs the role `enroll`.
    """
    body = await read_body(request, context, DistinctBody)
    await context.service.matcher.tell_apart(key.tenant_id, person_id, body.person_id, name, body.distinct)
    return reply(DistinctView(persons=(person_id, body.person_id), distinct=body.distinct))


@router.get(
    "/v1/tasks/{task_id}/events",
    summary="Follow a task",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "Events `task` with the same data as `GET /v1/tasks/{task_id}`.",
            "content": {EVENTS: {"schema": EVENT, "example": EXAMPLE}},
        },
        **error_docs(TaskNotFound),
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
