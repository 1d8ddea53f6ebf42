"""Error classes: one per kind of failure.

    FacegraphError
    |- InvalidRequest
    |- ImageError: ImageTooLarge ImageFormatUnsupported ImageUndecodable ImageDimensions NotACrop
    |  `- ImageUrlError: ImageUrlRefused ImageDownloadFailed ImageDownloadTimeout
    |- FaceError: NoFaceDetected TooManyFaces FaceRejected(QualityTooLow) FaceNotLive LivenessRequired
    |- NotFound: CollectionNotFound PersonNotFound FaceIdNotFound ImageNotStored TenantNotFound KeyNotFound
    |            TaskNotFound UnknownNotFound
    |- Conflict: TenantExists CollectionExists CollectionNotEmpty PersonExists DuplicateFace FaceCountRefused
    |            TaskRunning
    |- AuthError: KeyMissing KeyInvalid RoleInsufficient UnknownsNotKept
    |- RateLimited Overloaded
    |- Unavailable: StoreUnavailable RequestTimeout LivenessUnavailable
    `- ConfigurationError: ModelFileError

Each has a stable ``code``, the HTTP ``status`` of the native API, a message for people and JSON-ready ``details``.
Each dialect maps classes to its vendor's codes in one table; no other code translates errors. Instances can be pickled,
since they cross process boundaries on Serve handles.
"""

from __future__ import annotations

from serve_app.errors.base import FacegraphError, InvalidRequest
from serve_app.errors.picture import (
    FaceError,
    FaceNotLive,
    FaceRejected,
    ImageDimensions,
    ImageDownloadFailed,
    ImageDownloadTimeout,
    ImageError,
    ImageFormatUnsupported,
    ImageTooLarge,
    ImageUndecodable,
    ImageUrlError,
    ImageUrlRefused,
    LivenessRequired,
    NoFaceDetected,
    NotACrop,
    QualityTooLow,
    TooManyFaces,
)
from serve_app.errors.service import (
    AuthError,
    ConfigurationError,
    KeyInvalid,
    KeyMissing,
    LivenessUnavailable,
    ModelFileError,
    Overloaded,
    RateLimited,
    RequestTimeout,
    RoleInsufficient,
    StoreUnavailable,
    Unavailable,
    UnknownsNotKept,
)
from serve_app.errors.stored import (
    CollectionExists,
    CollectionNotEmpty,
    CollectionNotFound,
    Conflict,
    DuplicateFace,
    FaceCountRefused,
    FaceIdNotFound,
    ImageNotStored,
    KeyNotFound,
    NotFound,
    PersonExists,
    PersonNotFound,
    TaskNotFound,
    TaskRunning,
    TenantExists,
    TenantNotFound,
    UnknownNotFound,
)

FaceNotFound = NoFaceDetected
FaceUnknown = FaceIdNotFound
"""Former names of the two errors, kept for programs that use the Python handle."""

__all__ = [
    "AuthError",
    "CollectionExists",
    "CollectionNotEmpty",
    "CollectionNotFound",
    "ConfigurationError",
    "Conflict",
    "DuplicateFace",
    "FaceCountRefused",
    "FaceError",
    "FaceIdNotFound",
    "FaceNotLive",
    "FaceRejected",
    "FacegraphError",
    "ImageDimensions",
    "ImageDownloadFailed",
    "ImageDownloadTimeout",
    "ImageError",
    "ImageFormatUnsupported",
    "ImageNotStored",
    "ImageTooLarge",
    "ImageUndecodable",
    "ImageUrlError",
    "ImageUrlRefused",
    "InvalidRequest",
    "KeyInvalid",
    "KeyMissing",
    "KeyNotFound",
    "LivenessRequired",
    "LivenessUnavailable",
    "ModelFileError",
    "NoFaceDetected",
    "NotACrop",
    "NotFound",
    "Overloaded",
    "PersonExists",
    "PersonNotFound",
    "QualityTooLow",
    "RateLimited",
    "RequestTimeout",
    "RoleInsufficient",
    "StoreUnavailable",
    "TaskNotFound",
    "TaskRunning",
    "TenantExists",
    "TenantNotFound",
    "TooManyFaces",
    "Unavailable",
    "UnknownNotFound",
    "UnknownsNotKept",
]
