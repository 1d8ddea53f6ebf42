"""What the native routes share: replies, parameters, the errors that any of them may answer."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query

from serve_app.api.errors import InternalError, MediaTypeUnsupported, RequestTooLarge
from serve_app.api.schemas.base import CollectionName, FaceId, Text
from serve_app.errors import (
    ImageDimensions,
    ImageDownloadFailed,
    ImageDownloadTimeout,
    ImageFormatUnsupported,
    ImageTooLarge,
    ImageUndecodable,
    ImageUrlRefused,
    InvalidRequest,
    KeyInvalid,
    KeyMissing,
    LivenessUnavailable,
    NoFaceDetected,
    Overloaded,
    RateLimited,
    RequestTimeout,
    RoleInsufficient,
    StoreUnavailable,
    Unavailable,
)

AUTH_ERRORS = (KeyMissing, KeyInvalid, RoleInsufficient, RateLimited)
COMMON_ERRORS = (InvalidRequest, *AUTH_ERRORS, Overloaded, InternalError, Unavailable, StoreUnavailable, RequestTimeout)
BODY_ERRORS = (*COMMON_ERRORS, RequestTooLarge, MediaTypeUnsupported)
PICTURE_ERRORS = (
    *BODY_ERRORS,
    ImageTooLarge,
    ImageFormatUnsupported,
    ImageUndecodable,
    ImageDimensions,
    ImageUrlRefused,
    ImageDownloadFailed,
    ImageDownloadTimeout,
    LivenessUnavailable,
)
FACE_ERRORS = (*PICTURE_ERRORS, NoFaceDetected)

InPathCollection = Annotated[CollectionName, Path(description="A collection's name.")]
InPathFace = Annotated[FaceId, Path(description="An enrolled face's id.")]
Limit = Annotated[int, Query(ge=1, le=1000, description="Items on a page.")]
Cursor = Annotated[str | None, Query(max_length=1000, description="From the page before.")]
Filter = Annotated[Text, Query(max_length=200, description="Keep those whose id, name or title contains this.")]

EXAMPLE_BASE64 = "/9j/4AAQSkZJRgABAQAAAQABAAD..."
EXAMPLE_FILE = "(a picture)"
