"""What several routes of this dialect do: the picture, the FaceSet and the face tokens that a request names."""

from __future__ import annotations

from fastapi import Request

from serve_app.api.api_context import ApiContext
from serve_app.api.dialects.facepp.errors import in_words_of, missing
from serve_app.api.dialects.facepp.parameters import MAX_IMAGE_BYTES
from serve_app.api.dialects.facepp.requests import FaceppBody
from serve_app.api.request_images import decode_base64
from serve_app.api.schemas.base import Upload
from serve_app.domain import RegisteredFaces
from serve_app.errors import ImageTooLarge, ImageUndecodable

MIN_SIDE, MAX_SIDE = 48, 4096
"""Pixels of a picture's side."""


async def register(
    request: Request,
    context: ApiContext,
    tenant: str,
    params: FaceppBody,
    suffix: str = "",
    liveness: bool = False,
) -> RegisteredFaces:
    """The faces of the picture that the parameters bring, each with a token from now on.

    Args:
        suffix: ``1`` or ``2`` where a request has two pictures.

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
    with in_words_of(names[kind], named=bool(suffix)):
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
        # A client that forgets to encode its form sends a plus sign as a blank.
        content = decode_base64(value.replace(" ", "+"), MAX_IMAGE_BYTES)
    if not content:
        raise ImageUndecodable("The picture is empty.")
    if len(content) > MAX_IMAGE_BYTES:
        raise ImageTooLarge(f"A picture may have {MAX_IMAGE_BYTES} bytes, this one has {len(content)}.")
    return content
