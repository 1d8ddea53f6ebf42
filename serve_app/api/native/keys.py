"""``/v1/keys``. The key store blocks, so its calls run in the thread pool."""

from __future__ import annotations

import datetime as dt

from fastapi import APIRouter, Path, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from serve_app.api.api_context import Context
from serve_app.api.error_docs import BODY_ERRORS, error_docs
from serve_app.api.native.access import AdminKey
from serve_app.api.replies import reply
from serve_app.api.request_bodies import body_docs, read_body
from serve_app.api.schemas.keys import KeyBody, KeyList, KeyRevoked, NewKey
from serve_app.errors import InvalidRequest, KeyNotFound

router = APIRouter(prefix="/v1/keys", tags=["keys"])


@router.post(
    "",
    summary="Create an API key",
    status_code=201,
    response_model=NewKey,
    responses=error_docs(*BODY_ERRORS),
    openapi_extra=body_docs(KeyBody, {"name": "door camera", "role": "search", "rate_limit": 20}),
)
async def create_key(request: Request, context: Context, key: AdminKey) -> Response:
    """Creates a key and returns its secret, which is returned only here. Needs the role `admin`.

    Roles: `search` may search and analyse images; `enroll` may also read and write persons; `admin` may also write
    collections and manage keys. Each ingress replica counts `rate_limit` separately.
    """
    body = await read_body(request, context, KeyBody)
    if body.expires is not None and body.expires <= dt.datetime.now(dt.UTC):
        raise InvalidRequest(f"expires: a time in the future was expected, got {body.expires.isoformat()}")
    created, secret = await run_in_threadpool(
        context.keys.create, key.tenant_id, body.name, body.role, body.expires, body.rate_limit
    )
    return reply(NewKey.with_secret(created, secret), 201)


@router.get("", summary="List API keys", response_model=KeyList, responses=error_docs())
async def list_keys(context: Context, key: AdminKey) -> Response:
    """All keys of the tenant that are not revoked, without their secrets. Needs the role `admin`."""
    return reply(KeyList(keys=await run_in_threadpool(context.keys.list, key.tenant_id)))


@router.delete("/{key_id}", summary="Revoke an API key", response_model=KeyRevoked, responses=error_docs(KeyNotFound))
async def revoke_key(
    context: Context, key: AdminKey, key_id: str = Path(min_length=1, max_length=100, pattern=r"^[0-9A-Za-z_-]+$")
) -> Response:
    """The key stops working at once. Needs the role `admin`."""
    await run_in_threadpool(context.keys.revoke, key.tenant_id, key_id)
    return reply(KeyRevoked(id=key_id, deleted=True))
