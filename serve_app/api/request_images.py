"""The images of a request, sent as a file, as base64 (bare or as a ``data:`` URL), or by URL."""

from __future__ import annotations

import asyncio
import binascii
import re
from collections.abc import Mapping, Sequence
from typing import Any

from serve_app.api.api_context import ApiContext
from serve_app.api.parsing import parsed
from serve_app.api.request_bodies import exactly_one
from serve_app.api.schemas.base import Upload
from serve_app.api.schemas.persons import PicturesBody
from serve_app.api.schemas.pictures import PictureBody
from serve_app.api.urlencoded import unquoted
from serve_app.errors import ImageError, ImageTooLarge, ImageUndecodable, InvalidRequest
from serve_app.vision.image_formats import format_of

BASE64_HEAD = re.compile(r"\bbase64\s*\Z", re.IGNORECASE)
MAX_HEAD = 1000
"""Characters of a ``data:`` URL before its comma."""

STANDARD = str.maketrans("-_", "+/", "\r\n\t")
NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/]")
NOT_ASCII = re.compile(r"[^\x00-\x7f]")


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
        content = await parsed(len(value), decode_base64, value, limit)
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
    """Decode an image's base64 text in any form that clients send.

    These are: standard or URL-safe; with padding or without; percent-encoded; with line breaks; with blanks in place of
    plus signs, which a form that was not encoded turns into blanks; and after ``data:image/jpeg;base64,``, also without
    the ``data:``.

    Raises ImageTooLarge if it encodes more than ``limit`` bytes, ImageUndecodable if it is not base64.
    """
    try:
        content = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:  # nearly all texts are plain; only the others need the slower way
        escapes = text.count("%")
        if len(text) > (4 if escapes else 2) * limit + 1000 or escapes > limit // 8 + 100_000:
            raise ImageTooLarge(
                f"An image may have at most {limit} bytes; this base64 text encodes more.", max_image_bytes=limit
            ) from None
        content = binascii.a2b_base64(_standard_base64(text), strict_mode=True)
    if len(content) > limit:
        raise ImageTooLarge(
            f"An image may have at most {limit} bytes; this base64 text encodes {len(content)}.",
            max_image_bytes=limit,
            bytes=len(content),
        )
    return content


def _standard_base64(text: str) -> str:
    """The text as standard base64 with padding. Raises ImageUndecodable."""
    text = text.strip()
    if "%" in text:
        text = unquoted(text.encode("utf-8", "replace")).decode("utf-8", "replace")
    if not text.isascii():  # beside being wrong, such a text takes a hundred times as long to translate
        _refuse_characters(NOT_ASCII, text)
    head, comma, content = text.partition(",")
    if comma:
        if len(head) > MAX_HEAD or not BASE64_HEAD.search(head):
            raise ImageUndecodable(
                f"Base64 or a data: URL was expected (data:image/jpeg;base64,...), got {head[:60]!r},..."
            )
        text = content
    text = text.strip().translate(STANDARD)
    if " " in text:  # separators if there are plus signs, else these signs
        text = text.replace(" ", "" if "+" in text else "+")
    text = text.rstrip("=")
    _refuse_characters(NOT_BASE64, text)
    if len(text) % 4 == 1:
        raise ImageUndecodable(
            f"The image's text is not base64: {len(text)} characters encode no whole number of bytes; some are missing."
        )
    return text + "=" * (-len(text) % 4)


def _refuse_characters(unknown: re.Pattern[str], text: str) -> None:
    found = unknown.search(text)
    if found:
        raise ImageUndecodable(
            f"The image's text is not base64: it has the character {found[0]!r} at position {found.start()}."
        )


def picture_type(content: bytes) -> str:
    """The media type of a stored image, by its first bytes."""
    found = format_of(content)
    return found.media_type if found is not None else "application/octet-stream"
