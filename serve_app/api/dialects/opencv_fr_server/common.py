"""What the FR Server's routes share: the pictures in and out, and the errors that any of them may answer."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from serve_app.api.api_context import ApiContext
from serve_app.api.errors import InternalError, MediaTypeUnsupported, RequestTooLarge
from serve_app.api.request_images import one_of
from serve_app.domain import QualityCode
from serve_app.errors import (
    FaceNotLive,
    FaceRejected,
    ImageTooLarge,
    ImageUndecodable,
    InvalidRequest,
    KeyInvalid,
    KeyMissing,
    NoFaceDetected,
    Overloaded,
    StoreUnavailable,
    Unavailable,
)

TAG = "OpenCV FR Server"
EXAMPLE_BASE64 = "U2Vjb25kIGltYWdl"

COMMON_ERRORS = (
    InvalidRequest,
    KeyMissing,
    KeyInvalid,
    Overloaded,
    InternalError,
    StoreUnavailable,
    Unavailable,
)
BODY_ERRORS = (*COMMON_ERRORS, RequestTooLarge, MediaTypeUnsupported)
PICTURE_ERRORS = (*BODY_ERRORS, NoFaceDetected, ImageUndecodable, ImageTooLarge)
LIVENESS_ERRORS = (*PICTURE_ERRORS, FaceNotLive, FaceRejected)

LIVENESS_FAULTS = frozenset(QualityCode) - {QualityCode.FACE_BLURRED}
"""With ``check_liveness`` the vendor refuses a picture for each of these, and so do we for those that are seen; it has
no word for blur."""

NO_FAULTS: frozenset[QualityCode] = frozenset()


def faults(check_liveness: bool) -> frozenset[QualityCode]:
    """What makes a picture unfit for the request."""
    return LIVENESS_FAULTS if check_liveness else NO_FAULTS


async def picture(context: ApiContext, field: str, text: str) -> bytes:
    """The picture in a base64 field. Raises ImageError."""
    return await one_of(context, {field: text})


def to_base64(image: bytes | None) -> str:
    """A picture as the vendor's answers carry it; empty for none."""
    return base64.b64encode(image or b"").decode()


async def thumbnails(context: ApiContext, tenant: str, face_ids: Sequence[str]) -> list[str]:
    """The stored thumbnails of faces as base64, empty where none was kept."""
    if not face_ids:
        return []
    images = await context.service.matcher.face_images(tenant, face_ids, "thumbnail")
    return [to_base64(image) for image in images]
