"""The images of a request, sent as a file, as base64 (bare or as a ``data:`` URL), or by URL."""

from __future__ import annotations

import asyncio
import binascii
from collections.abc import Mapping, Sequence
from typing import Any

from serve_app.api.api_context import ApiContext
from serve_app.api.request_bodies import exactly_one
from serve_app.api.schemas.base import Upload
from serve_app.api.schemas.persons import PicturesBody
from serve_app.api.schemas.pictures import PictureBody
from serve_app.errors import ImageError, ImageTooLarge, ImageUndecodable, InvalidRequest

PICTURE_SIGNATURES = (
    (b"\xff\xd8\xff", b"", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", b"", "image/png"),
    (b"RIFF", b"WEBP", "image/webp"),
    (b"BM", b"", "image/bmp"),
)
"""First bytes, bytes from offset 8 on, media type."""


async def picture(context: ApiContext, body: PictureBody) -> bytes:
    """The image of a body. Raises InvalidRequest unless exactly one was sent, ImageError if it cannot be used."""
    return await one_of(context, {name: getattr(body, name) for name in PictureBody.model_fields})


async def one_of(context: ApiContext, ways: Mapping[str, Any]) -> bytes:
    """The image that was sent in one of these fields: base64, a URL if the field's name ends in ``_url``, or a file.

    Raises InvalidRequest or ImageError.
    """
    name = exactly_one(ways)
    return await load(context, name, ways[name])


async def pictures(context: ApiContext, body: PicturesBody) -> list[bytes]:
    """All images of a body: files, then base64 texts, then URLs. Raises InvalidRequest if there are too many, and
    ImageError as :func:`all_of`."""
    names = ("image", "image_base64", "image_url")
    sources = [(name, value) for name in names for value in getattr(body, name)]
    most = context.settings.limits.max_images_per_request
    if len(sources) > most:
        raise InvalidRequest(f"A request may bring at most {most} images, this one brings {len(sources)}.", limit=most)
    return await all_of(context, sources)


async def all_of(context: ApiContext, sources: Sequence[tuple[str, Any]]) -> list[bytes]:
    """The images in these fields, given as pairs of name and value, in order.

    Raises ImageError with ``details["image"]``, the position from 0.
    """

    async def numbered(index: int, name: str, value: Any) -> bytes:
        try:
            return await load(context, name, value)
        except ImageError as error:
            raise type(error)(f"Image {index}: {error.message}", **error.details, image=index) from None

    return await asyncio.gather(*(numbered(index, *source) for index, source in enumerate(sources)))


async def load(context: ApiContext, name: str, value: Any, most: int | None = None) -> bytes:
    """The image in the field ``name``, of at most ``most`` bytes (by default the setting). Raises ImageError."""
    limit = context.settings.limits.max_image_bytes if most is None else most
    if isinstance(value, Upload):
        content = value.content
    elif name.endswith("_url"):
        content = await context.by_url.fetch(value)
    else:
        content = decode_base64(value, limit)
    if not content:
        raise ImageUndecodable(f"The image in {name} is empty.")
    if len(content) > limit:
        raise ImageTooLarge(
            f"An image may have at most {limit} bytes, this one has {len(content)}.",
            max_image_bytes=limit,
            bytes=len(content),
        )
    return content


def decode_base64(text: str, limit: int) -> bytes:
    """Decode a base64 text, with or without padding, line breaks and a leading ``data:...;base64,``.

    Raises ImageTooLarge if it encodes more than ``limit`` bytes, ImageUndecodable if it is not base64.
    """
    if text[:5].lower() == "data:":
        head, comma, text = text.partition(",")
        if not comma or not head.lower().endswith(";base64"):
            raise ImageUndecodable("A data: URL with base64 was expected: data:image/jpeg;base64,...")
    if len(text) // 4 * 3 > limit + 2 and len(text.split()) == 1:
        raise ImageTooLarge(
            f"An image may have at most {limit} bytes; this base64 text encodes more.", max_image_bytes=limit
        )
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        pass  # nearly all texts are plain; only the others need the slower way below
    compact = "".join(text.split())
    try:
        return binascii.a2b_base64(compact + "=" * (-len(compact) % 4), strict_mode=True)
    except ValueError:
        raise ImageUndecodable("The image's text is not base64.") from None


def picture_type(content: bytes) -> str:
    """The media type of a stored image, by its first bytes."""
    for start, eighth, kind in PICTURE_SIGNATURES:
        if content.startswith(start) and content[8:].startswith(eighth):
            return kind
    return "application/octet-stream"
