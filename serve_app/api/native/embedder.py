"""``/v1/embedder``."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from serve_app.api.api_context import Context
from serve_app.api.auth import AdminKey
from serve_app.api.error_docs import COMMON_ERRORS, error_docs
from serve_app.api.native.parameters import Cursor, Limit
from serve_app.api.replies import reply
from serve_app.api.schemas.embedder import EmbedderView, LeftBehindPage, LeftBehindView

router = APIRouter(prefix="/v1/embedder", tags=["service"])


@router.get(
    "",
    summary="The embedder, and the progress of a change",
    response_model=EmbedderView,
    responses=error_docs(*COMMON_ERRORS),
)
async def embedder(context: Context, key: AdminKey) -> Response:
    """The active embedder and the progress of a change; counts are those of the key's tenant. Needs the role `admin`.

    A change is made in the configuration, for all tenants: searches use the active model until the target has embedded
    every face.
    """
    return reply(EmbedderView.of(await context.service.matcher.embedder_change(key.tenant_id)))


@router.get(
    "/left-behind",
    summary="Persons to enrol again for a change of the embedder",
    response_model=LeftBehindPage,
    responses=error_docs(*COMMON_ERRORS),
)
async def left_behind(context: Context, key: AdminKey, limit: Limit = 100, cursor: Cursor = None) -> Response:
    """Persons by id, then unassigned faces, without a stored crop. Needs the role `admin`."""
    page = await context.service.matcher.left_behind(key.tenant_id, limit, cursor)
    return reply(LeftBehindPage(left_behind=[LeftBehindView.of(item) for item in page.items], cursor=page.cursor))
