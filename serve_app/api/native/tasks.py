"""``/v1/collections/{name}/duplicates`` and ``/v1/tasks``: background tasks and duplicates."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from serve_app.api.api_context import Context
from serve_app.api.auth import EnrollKey
from serve_app.api.error_docs import BODY_ERRORS, COMMON_ERRORS, error_docs
from serve_app.api.escaped_paths import InPathPerson
from serve_app.api.native.parameters import Cursor, InPathCollection, InPathTask, Limit
from serve_app.api.replies import reply
from serve_app.api.request_bodies import body_docs, read_body
from serve_app.api.schemas.tasks import DistinctBody, DistinctView, DuplicatePage, DuplicatesBody, TaskList, TaskView
from serve_app.domain import ThresholdRequest
from serve_app.errors import CollectionNotFound, PersonNotFound, TaskNotFound, TaskRunning

router = APIRouter(tags=["tasks"])

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


@router.get("/v1/tasks", summary="List tasks", response_model=TaskList, responses=error_docs(*COMMON_ERRORS))
async def list_tasks(context: Context, key: EnrollKey, limit: Limit = 100) -> Response:
    """The tasks of the past week, newest first. Needs the role `enroll`."""
    found = await context.service.matcher.tasks(key.tenant_id, limit)
    return reply(TaskList(tasks=[TaskView.of(task) for task in found]))


@router.get(
    "/v1/tasks/{task_id}",
    summary="One task",
    response_model=TaskView,
    responses=error_docs(*COMMON_ERRORS, TaskNotFound),
)
async def get_task(task_id: InPathTask, context: Context, key: EnrollKey) -> Response:
    """The task's progress. Poll about once a second until `state` is final. Needs the role `enroll`."""
    return reply(TaskView.of(await context.service.matcher.task(key.tenant_id, task_id)))


@router.delete(
    "/v1/tasks/{task_id}",
    summary="Cancel a task",
    response_model=TaskView,
    responses=error_docs(*COMMON_ERRORS, TaskNotFound),
)
async def cancel_task(task_id: InPathTask, context: Context, key: EnrollKey) -> Response:
    """Stops the task within a second; results are kept. A finished task does not change. Needs the role `enroll`."""
    return reply(TaskView.of(await context.service.matcher.cancel_task(key.tenant_id, task_id)))


@router.get(
    "/v1/tasks/{task_id}/duplicates",
    summary="The duplicates that a task found",
    response_model=DuplicatePage,
    responses=error_docs(*COMMON_ERRORS, TaskNotFound),
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
    return reply(DuplicatePage.of(page))


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
