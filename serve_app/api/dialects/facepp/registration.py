"""Registration of the faces of a request's image, which gives each face a token."""

from __future__ import annotations

from fastapi import Request

from serve_app.api.api_context import ApiContext
from serve_app.api.dialects.facepp.errors import image_errors, missing
from serve_app.api.dialects.facepp.parameters import MAX_IMAGE_BYTES
from serve_app.api.dialects.facepp.requests import FaceppBody
from serve_app.api.request_images import decode_base64
from serve_app.api.schemas.base import Upload
from serve_app.domain import RegisteredFaces
from serve_app.errors import ImageTooLarge, ImageUndecodable

MIN_SIDE, MAX_SIDE = 48, 4096
"""Minimum and maximum pixels of an image's sides."""


async def register(
    request: Request, context: ApiContext, tenant: str, params: FaceppBody, suffix: str = "", liveness: bool = False
) -> RegisteredFaces:
    """Store the faces of the image in the parameters; each face gets a token.

    Args:
        suffix: ``1`` or ``2`` if a request has two images, otherwise empty.
        liveness: whether to check the liveness of the faces.

    Raises:
        Refused.
    """
    as_text = f"_{suffix}" if suffix else ""
    names = {"file": f"image_file{suffix}", "base64": f"image_base64{as_text}", "url": f"image_url{suffix}"}
    sent = {kind: getattr(params, name) for kind, name in names.items()}
    kind = next((kind for kind, value in sent.items() if value is not None), None)
    if kind is None:
        tokens = (f"face_token{suffix}",) if hasattr(params, f"face_token{suffix}") else ()
        raise missing(*tokens, names["url"], names["file"], names["base64"])
    with image_errors(names[kind], named=bool(suffix)):
        image = await _load(context, sent[kind], kind)
        return await context.service.register_faces(
            tenant,
            image,
            storage=context.default_policy.image_storage,
            liveness=liveness,
            min_side=MIN_SIDE,
            max_side=MAX_SIDE,
        )


async def _load(context: ApiContext, value: str | Upload, kind: str) -> bytes:
    if isinstance(value, Upload):
        content = value.content
    elif kind == "url":
        content = await context.by_url.fetch(value)
    else:
        # A client that does not encode its form sends a plus sign, which is decoded as a space.
        content = decode_base64(value.replace(" ", "+"), MAX_IMAGE_BYTES)
    if not content:
        raise ImageUndecodable("The image is empty.")
    if len(content) > MAX_IMAGE_BYTES:
        raise ImageTooLarge(f"An image may have at most {MAX_IMAGE_BYTES} bytes, this one has {len(content)}.")
    return content
