"""One exception per thing that can go wrong, with what the caller can do about it.

    FacegraphError
    |- InvalidRequest
    |- ImageError: ImageTooLarge ImageFormatUnsupported ImageUndecodable ImageDimensions NotACrop
    |  `- ImageUrlError: ImageUrlRefused ImageDownloadFailed ImageDownloadTimeout
    |- FaceError: FaceNotFound TooManyFaces FaceRejected(QualityTooLow) FaceNotLive LivenessRequired
    |- NotFound: CollectionNotFound PersonNotFound FaceUnknown ImageNotStored TenantNotFound KeyNotFound
    |            TaskNotFound UnknownNotFound
    |- Conflict: TenantExists CollectionExists CollectionNotEmpty PersonExists DuplicateFace FaceCountRefused
    |            TaskRunning
    |- AuthError: KeyMissing KeyInvalid RoleInsufficient UnknownsNotKept
    |- RateLimited Overloaded
    |- Unavailable: StoreUnavailable RequestTimeout LivenessUnavailable
    `- ConfigurationError: ModelFileError

Each carries a stable ``code``, the HTTP ``status`` of the native API, a message for people and JSON-ready ``details``.
Dialects map classes to their own words in one table each; nothing else translates errors. Instances survive pickling,
since they cross process boundaries on Serve handles.
"""

from __future__ import annotations

from serve_app.errors.base import FacegraphError, InvalidRequest
from serve_app.errors.picture import (
    FaceError,
    FaceNotFound,
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
    FaceUnknown,
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
    "FaceNotFound",
    "FaceNotLive",
    "FaceRejected",
    "FaceUnknown",
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
