"""``faceset/async/*``: tasks. The work is done within the request, and all replicas can read its record later."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from serve_app.api.api_context import ApiContext, Context
from serve_app.api.dialects.facepp import requests
from serve_app.api.dialects.facepp.errors import Refused, failures
from serve_app.api.dialects.facepp.identifiers import faceset
from serve_app.api.dialects.facepp.parameters import params_docs, read
from serve_app.api.dialects.facepp.requests import EXAMPLE_TOKEN, MAX_TOKENS, tokens_of
from serve_app.api.dialects.facepp.responses import FaceppTaskAnswer, FaceppTaskStatus, reply
from serve_app.api.dialects.facepp.routes.facesets import add, remove
from serve_app.domain import Collection, Role
from serve_app.errors import CollectionNotFound, TaskNotFound

router = APIRouter(prefix="/faceset/async")

Work = Callable[[ApiContext, str, Collection], Awaitable[dict[str, Any]]]

ADDING, REMOVING = "facepp.addface", "facepp.removeface"
DONE, FAILED = 1, -1
FAILURES = {"INVALID_FACESET_TOKEN": "INVALID_FACESET_TOKEN", "INVALID_OUTER_ID": "INVALID_FACESET_OUTER_ID"}
"""Errors that make a task fail -> the text in the task. The request itself succeeds."""

SIZES = ("MISSING_ARGUMENTS: faceset_token, outer_id", "COEXISTENCE_ARGUMENTS", "INVALID_FACE_TOKENS_SIZE")


@router.post(
    "/addface",
    summary="Face++: add faces to a FaceSet, as a task",
    response_model=FaceppTaskAnswer,
    responses=failures(*SIZES),
    openapi_extra=params_docs(requests.AddParams, {"outer_id": "staff", "face_tokens": EXAMPLE_TOKEN}),
)
async def facepp_add_face_task(request: Request, context: Context) -> Response:
    """As `addface`; `task_status` returns the result. Needs the role `enroll`."""
    key, params = await read(request, context, requests.AddParams, Role.ENROLL)
    tokens = tokens_of(params.face_tokens, MAX_TOKENS)
    return await _run(request, context, key.tenant_id, params, ADDING, partial(add, tokens=tokens))


@router.post(
    "/removeface",
    summary="Face++: remove faces from a FaceSet, as a task",
    response_model=FaceppTaskAnswer,
    responses=failures(*SIZES),
    openapi_extra=params_docs(requests.RemoveParams, {"outer_id": "staff", "face_tokens": EXAMPLE_TOKEN}),
)
async def facepp_remove_face_task(request: Request, context: Context) -> Response:
    """As `removeface`; `task_status` returns the result. Needs the role `enroll`."""
    key, params = await read(request, context, requests.RemoveParams, Role.ENROLL)
    return await _run(request, context, key.tenant_id, params, REMOVING, partial(remove, tokens=params.tokens()))


@router.post(
    "/task_status",
    summary="Face++: result of a task",
    response_model=FaceppTaskStatus,
    responses=failures("INVALID_TASK_ID"),
    openapi_extra=params_docs(requests.FaceppTaskParams, {"task_id": EXAMPLE_TOKEN}),
)
async def facepp_task_status(request: Request, context: Context) -> Response:
    """The result of a task of the past week. Needs the role `search`."""
    key, params = await read(request, context, requests.FaceppTaskParams, Role.SEARCH)
    task = await context.service.matcher.task(key.tenant_id, params.task_id)
    if task.kind not in (ADDING, REMOVING):
        raise TaskNotFound("The task is not one of this dialect.")
    return reply(request, FaceppTaskStatus, task_id=task.id, **task.result)


async def _run(
    request: Request, context: ApiContext, tenant: str, params: requests.FacesetParams, kind: str, work: Work
) -> Response:
    try:
        result = {"status": DONE, **await work(context, tenant, await faceset(context, tenant, params))}
    except CollectionNotFound:  # deleted during the request
        result = {"status": FAILED, "task_failure_detail": "INVALID_FACESET_TOKEN"}
    except Refused as error:
        if error.message not in FAILURES:
            raise
        result = {"status": FAILED, "task_failure_detail": FAILURES[error.message]}
    task = await context.service.matcher.add_task(tenant, kind, result)
    return reply(request, FaceppTaskAnswer, task_id=task.id)
