"""``/v1/collections/{name}/bulk`` and ``/v1/tasks/{id}/report``: bulk enrolment in the background."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response, StreamingResponse

from serve_app.api.api_context import ApiContext, Context
from serve_app.api.bulk.upload import LINES, ZIP, Read, UploadReader, read_lines, read_zip
from serve_app.api.error_docs import BODY_ERRORS, error_docs
from serve_app.api.native.access import EnrollKey
from serve_app.api.openapi_docs import SCHEMA_PREFIX
from serve_app.api.parameters import InPathCollection, InPathTask
from serve_app.api.replies import reply
from serve_app.api.request_bodies import media_type, unsupported
from serve_app.api.schemas.collections import QualityValue
from serve_app.api.schemas.tasks import BulkLine, BulkOutcome, TaskView
from serve_app.bulk.entries import LeftOut
from serve_app.domain import ImageStorage, Task
from serve_app.errors import CollectionNotFound, TaskNotFound, TaskRunning

router = APIRouter(tags=["bulk"])

READERS: Mapping[str, Read] = {
    ZIP: read_zip,
    "application/x-zip-compressed": read_zip,
    LINES: read_lines,
    "application/jsonl": read_lines,
}
MOST_SHOWN = 100
"""Most entries that were left out of which a task says why; the others are only counted."""

PAGE = 1000
"""Lines of a report that are read from the gallery at a time."""

REFERENCE = SCHEMA_PREFIX + "{model}"
EXAMPLE = (
    '{"person": "ada-lovelace", "name": "Ada Lovelace", "image_base64": ["/9j/4AAQSkZJRgABAQAAAQABAAD..."]}\n'
    '{"person": "ada-king", "image_url": "https://example.com/ada-king.jpg"}\n'
)
BODY = {
    "requestBody": {
        "required": True,
        "content": {
            LINES: {"schema": BulkLine.model_json_schema(ref_template=REFERENCE), "example": EXAMPLE},
            ZIP: {"schema": {"title": "BulkZip", "type": "string", "format": "binary"}, "example": "(a zip)"},
        },
    }
}


@router.post(
    "/v1/collections/{name}/bulk",
    summary="Enrol many persons in the background",
    status_code=202,
    response_model=TaskView,
    responses=error_docs(*BODY_ERRORS, CollectionNotFound, TaskRunning),
    openapi_extra=BODY,
)
async def submit_bulk(
    name: InPathCollection,
    request: Request,
    context: Context,
    key: EnrollKey,
    faces: Annotated[Literal["one", "largest"], Query(description="As in the enrolment of one person.")] = "one",
    liveness: Annotated[bool | None, Query(description="As in the enrolment of one person.")] = None,
    image_storage: Annotated[ImageStorage | None, Query(description="As in the enrolment of one person.")] = None,
    reject_below: Annotated[QualityValue, Query(description="As in the enrolment of one person.")] = 0.0,
) -> Response:
    """The body is a zip with one folder per person, named by the person's id, or with a `manifest.csv` or
    `manifest.jsonl`; or JSON lines, one person per line. The whole upload is checked first, and refused if a part of it
    cannot be used. After the response 202 the upload will be enrolled, also after a restart of the service.

    Files of a zip that are not enrolled, such as images of other formats, are counted in the task's
    `arguments.left_out` and listed with the reason in `arguments.left_out_files` (the first 100).

    The images of the upload replace a person's faces; refused images are left out and reported. The uploaded data of a
    person are erased once the person has been processed. Follow `GET /v1/tasks/{id}/events`, then read
    `GET /v1/tasks/{id}/report`. Needs the role `enroll`.
    """
    await context.service.matcher.collection(key.tenant_id, name)
    kind = media_type(request)
    if kind not in READERS:
        raise unsupported(kind, [ZIP, LINES])
    options = {
        "faces": faces,
        "liveness": liveness,
        "image_storage": image_storage and str(image_storage),
        "reject_below": reject_below,
    }
    with contextlib.closing(UploadReader(READERS[kind], context.settings.limits, context.upload_pool)) as reader:
        await reader.receive(request.stream())
        task = await _accept(context, key.tenant_id, name, options, reader)
    return reply(TaskView.of(task), 202)


async def _accept(
    context: ApiContext,
    tenant: str,
    name: str,
    options: dict[str, Any],
    reader: UploadReader,
) -> Task:
    matcher = context.service.matcher
    first = await reader.batch()
    given = {key: value for key, value in options.items() if value is not None}
    task = await matcher.begin_bulk(tenant, name, given, _described(reader.left_out))
    try:
        position = 0
        batch = first
        while batch:
            await matcher.add_bulk(tenant, task.id, position, batch)
            position += len(batch)
            batch = await reader.batch()
        return await matcher.start_bulk(tenant, task.id)
    except BaseException:
        # Also when the client has disconnected or the request timed out. The gallery's cleanup erases what was stored.
        await asyncio.shield(matcher.cancel_task(tenant, task.id))
        raise


def _described(left_out: list[LeftOut]) -> dict[str, Any]:
    """What a task says about entries of its upload that are not enrolled."""
    if not left_out:
        return {}
    shown = [{"file": entry.location[:500], "reason": entry.reason} for entry in left_out[:MOST_SHOWN]]
    return {"left_out": len(left_out), "left_out_files": shown}


@router.get(
    "/v1/tasks/{task_id}/report",
    summary="The report of an upload",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "JSON lines, one per processed person.",
            "content": {LINES: {"schema": BulkOutcome.model_json_schema(ref_template=REFERENCE)}},
        },
        **error_docs(TaskNotFound),
    },
)
async def bulk_report(
    task_id: InPathTask,
    context: Context,
    key: EnrollKey,
    failures: Annotated[bool, Query(description="Only persons with refused images.")] = False,
) -> Response:
    """The results so far, in the order of the upload (for a zip, by the person's id). Needs the role `enroll`."""
    matcher = context.service.matcher
    page = await matcher.bulk_report(key.tenant_id, task_id, failures, PAGE)  # raises errors before the response starts

    async def lines() -> AsyncIterator[str]:
        found = page
        while True:
            yield "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in found.items)
            if found.cursor is None:
                return
            found = await matcher.bulk_report(key.tenant_id, task_id, failures, PAGE, found.cursor)

    return StreamingResponse(lines(), headers={"Cache-Control": "no-store"}, media_type=LINES)
