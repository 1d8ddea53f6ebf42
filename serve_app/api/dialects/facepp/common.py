"""What several routes of this dialect do: the picture, the FaceSet and the face tokens that a request names."""

from __future__ import annotations

from fastapi import Request
from pydantic import Field

from serve_app.api.api_context import ApiContext
from serve_app.api.dialects.facepp.errors import Refused, bad, in_words_of, missing
from serve_app.api.dialects.facepp.outer_ids import name_of, outer_id_of
from serve_app.api.dialects.facepp.params import MAX_IMAGE_BYTES, FaceppBody
from serve_app.api.dialects.facepp.views import ALIASES, ATTRIBUTES
from serve_app.api.request_images import decode_base64
from serve_app.api.schemas.base import Upload
from serve_app.domain import Collection, RegisteredFaces
from serve_app.domain.names import is_name
from serve_app.errors import CollectionNotFound, ImageTooLarge, ImageUndecodable

TAG = "Face++ v3"
EXAMPLE_TOKEN = "4dc8ba0650405fa7a4a5b0b5cb937f0b"  # noqa: S105 - a face's id
EXAMPLE_URL = "https://example.org/ada.jpg"

MIN_SIDE, MAX_SIDE = 48, 4096
"""Pixels of a picture's side."""


class FacesetParams(FaceppBody):
    """A FaceSet by one of its two names."""

    faceset_token: str | None = None
    outer_id: str | None = None


class LookParams(FaceppBody):
    """What is wanted to be known of faces."""

    return_landmark: int | None = Field(None, ge=0, le=2, description="1 and 2 give the same five points.")
    return_attributes: str | None = Field(None, description="A comma-separated list, or none.")

    @property
    def landmark(self) -> bool:
        """Whether landmarks are wanted."""
        return bool(self.return_landmark)

    @property
    def attributes(self) -> tuple[str, ...]:
        """The attributes that are wanted."""
        if self.return_attributes is None or self.return_attributes.strip().lower() == "none":
            return ()
        names = tuple(dict.fromkeys(part.strip() for part in self.return_attributes.split(",") if part.strip()))
        wanted = tuple(ALIASES.get(name, name) for name in names)
        if not set(wanted) <= set(ATTRIBUTES):
            raise bad("return_attributes")
        return wanted


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


async def faceset(context: ApiContext, tenant: str, params: FacesetParams) -> Collection:
    """The FaceSet that is named. Raises Refused."""
    if params.faceset_token is None and params.outer_id is None:
        raise missing("faceset_token", "outer_id")
    if params.faceset_token is not None and params.outer_id is not None:
        raise Refused("COEXISTENCE_ARGUMENTS")
    try:
        if params.faceset_token is not None:
            return (await context.service.matcher.collections_by_id(tenant, (params.faceset_token,)))[0]
        found = await context.service.matcher.collection(tenant, name_of(params.outer_id))
    except CollectionNotFound:
        by_token = params.faceset_token is not None
        raise Refused("INVALID_FACESET_TOKEN" if by_token else "INVALID_OUTER_ID") from None
    if not is_name(params.outer_id or "") and outer_id_of(found) != params.outer_id:
        raise Refused("INVALID_OUTER_ID")
    return found


def tokens_of(text: str, most: int) -> list[str]:
    """The tokens of a comma-separated list. Raises Refused if there are none, or more than ``most``."""
    tokens = [part.strip() for part in text.split(",") if part.strip()]
    if not 1 <= len(tokens) <= most:
        raise Refused("INVALID_FACE_TOKENS_SIZE")
    return tokens
