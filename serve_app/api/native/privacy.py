"""``/v1/audit``, ``/v1/receipts``, and ``DELETE /v1/persons/{id}``, the erasure from every collection."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from serve_app.api.api_context import Context
from serve_app.api.error_docs import BODY_ERRORS, error_docs
from serve_app.api.native.access import AdminKey, EnrollKey
from serve_app.api.parameters import Cursor, InPathPerson, Limit
from serve_app.api.replies import reply
from serve_app.api.request_bodies import body_docs, read_body
from serve_app.api.schemas import privacy as schemas
from serve_app.api.schemas.base import PersonId
from serve_app.errors import PersonNotFound

router = APIRouter(tags=["privacy"])


@router.delete(
    "/v1/persons/{person_id}",
    summary="Erase a person",
    response_model=schemas.DeletionAnswer,
    responses=error_docs(PersonNotFound),
)
async def erase_person(person_id: InPathPerson, context: Context, key: EnrollKey) -> Response:
    """Erases the person from every collection and returns a signed receipt. Needs the role `enroll`."""
    return reply(schemas.DeletionAnswer.of(await context.service.matcher.delete_person(key.tenant_id, person_id)))


@router.post(
    "/v1/receipts/check",
    summary="Check the receipt of an erasure",
    response_model=schemas.ReceiptChecked,
    responses=error_docs(*BODY_ERRORS),
    openapi_extra=body_docs(schemas.ReceiptBody, schemas.EXAMPLE_RECEIPT),
)
async def check_receipt(request: Request, context: Context, key: EnrollKey) -> Response:
    """Whether it was signed here, and whether data of the erased persons are stored. Needs the role `enroll`."""
    body = await read_body(request, context, schemas.ReceiptBody)
    return reply(
        schemas.ReceiptChecked.of(await context.service.matcher.check_receipt(key.tenant_id, body.to_domain()))
    )


@router.get(
    "/v1/audit", summary="The audit log", response_model=schemas.AuditPage, responses=error_docs(PersonNotFound)
)
async def read_audit(
    context: Context,
    key: AdminKey,
    limit: Limit = 100,
    cursor: Cursor = None,
    person_id: Annotated[PersonId | None, Query(description="Only entries about this person.")] = None,
) -> Response:
    """Who searched, enrolled and erased what, newest first, without images or names. Needs the role `admin`."""
    page = await context.service.matcher.audit(key.tenant_id, person_id, limit, cursor)
    return reply(schemas.AuditPage(entries=page.items, cursor=page.cursor))


@router.get(
    "/v1/audit/check", summary="Check the audit log", response_model=schemas.AuditChecked, responses=error_docs()
)
async def check_audit(
    context: Context,
    key: AdminKey,
    head: Annotated[
        str | None, Query(pattern="^[0-9a-f]{64}$", description="A `head` noted earlier: is it still in the log?")
    ] = None,
) -> Response:
    """Recomputes all hashes of the chain. Needs the role `admin`."""
    return reply(schemas.AuditChecked.of(await context.service.matcher.check_audit(key.tenant_id, head or "")))
