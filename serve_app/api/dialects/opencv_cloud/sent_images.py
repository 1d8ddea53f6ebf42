"""Images of a request, which the cloud's clients send as base64."""

from __future__ import annotations

from collections.abc import Sequence

from serve_app.api.api_context import ApiContext
from serve_app.api.request_images import all_of, one_of


async def picture(context: ApiContext, text: str) -> bytes:
    """The image in a base64 text. Raises ImageError."""
    return await one_of(context, {"image_base64": text})


async def pictures(context: ApiContext, texts: Sequence[str] | None) -> list[bytes]:
    """The images of a set. Raises ImageError with ``details["image"]``, the position from 0."""
    return await all_of(context, [("image_base64", text) for text in texts or ()])
