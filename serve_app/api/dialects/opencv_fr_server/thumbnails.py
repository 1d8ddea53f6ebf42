"""Stored thumbnails as the base64 texts of the FR Server's responses."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from serve_app.api.api_context import ApiContext


def to_base64(image: bytes | None) -> str:
    """An image as base64; empty for None."""
    return base64.b64encode(image or b"").decode()


async def thumbnails(context: ApiContext, tenant: str, face_ids: Sequence[str]) -> list[str]:
    """The stored thumbnails of faces as base64; empty for a face without one."""
    if not face_ids:
        return []
    images = await context.service.matcher.face_images(tenant, face_ids, "thumbnail")
    return [to_base64(image) for image in images]
