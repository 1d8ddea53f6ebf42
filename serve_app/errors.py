"""One exception per thing that can go wrong, with what the caller can do about it.

    FacegraphError
    |- InvalidRequest
    |- ImageError: ImageTooLarge ImageFormatUnsupported ImageUndecodable ImageDimensions NotACrop
    |  `- ImageUrlError: ImageUrlRefused ImageDownloadFailed ImageDownloadTimeout
    |- FaceError: FaceNotFound TooManyFaces FaceRejected(QualityTooLow) FaceNotLive LivenessRequired
    |- NotFound: CollectionNotFound PersonNotFound FaceUnknown KeyNotFound ImageNotStored TaskNotFound UnknownNotFound
    |- Conflict: CollectionExists CollectionNotEmpty PersonExists DuplicateFace FaceCountRefused TaskRunning
    |- AuthError: KeyMissing KeyInvalid RoleInsufficient UnknownsNotKept
    |- RateLimited Overloaded
    |- Unavailable: StoreUnavailable RequestTimeout LivenessUnavailable
    `- ConfigurationError: ModelFileError

Each carries a stable ``code``, the HTTP ``status`` of the native API, a message for people and JSON-ready ``details``.
Dialects map classes to their own words in one table each; nothing else translates errors. Instances survive pickling,
since they cross process boundaries on Serve handles.
"""

from __future__ import annotations

from typing import Any, ClassVar


class FacegraphError(Exception):
    """Base of everything that facegraph raises on purpose."""

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details: dict[str, Any] = details

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, self.details)


def _rebuild(cls: type[FacegraphError], message: str, details: dict[str, Any]) -> FacegraphError:
    return cls(message, **details)


class InvalidRequest(FacegraphError):
    """A parameter is missing, malformed or contradicts another one."""

    code, status = "invalid_request", 400


class ImageError(FacegraphError):
    """The picture itself is the problem."""

    code, status = "image_error", 400


class ImageTooLarge(ImageError):
    """More bytes, or more pixels, than the service accepts. Send a smaller picture."""

    code, status = "image_too_large", 413


class ImageFormatUnsupported(ImageError):
    """Not one of JPEG, PNG, WebP, BMP."""

    code, status = "image_format_unsupported", 415


class ImageUndecodable(ImageError):
    """A known format, but damaged or cut off; or base64 that is none."""

    code, status = "image_undecodable", 400


class ImageDimensions(ImageError):
    """A side is too short to hold a face."""

    code, status = "image_too_small", 400


class NotACrop(ImageError):
    """An aligned face of 112 x 112 pixels was expected, such as detection answers, and something else came."""

    code, status = "not_a_crop", 400


class ImageUrlError(ImageError):
    """The picture could not be fetched from its URL."""

    code, status = "image_url_invalid", 400


class ImageUrlRefused(ImageUrlError):
    """The URL leads to an address that the service must not contact, or fetching URLs is switched off."""

    code, status = "image_url_refused", 400


class ImageDownloadFailed(ImageUrlError):
    """The URL's server refused, failed or answered with something else than a picture."""

    code, status = "image_download_failed", 400


class ImageDownloadTimeout(ImageUrlError):
    """The URL's server took too long."""

    code, status = "image_download_timeout", 412


class FaceError(FacegraphError):
    """The picture is fine, but what is on it is not usable for this request."""

    code, status = "face_error", 422


class FaceNotFound(FaceError):
    """No face on the picture."""

    code, status = "face_not_found", 422


class TooManyFaces(FaceError):
    """More than the one face that this request needs."""

    code, status = "too_many_faces", 422


class FaceRejected(FaceError):
    """A face whose quality forbids the operation; ``details["codes"]`` lists :class:`~serve_app.domain.QualityCode`."""

    code, status = "face_rejected", 422


class QualityTooLow(FaceRejected):
    """A face below ``reject_below``; ``details`` has quality and needed, and no codes."""

    code, status = "quality_too_low", 422


class FaceNotLive(FaceError):
    """The liveness stage takes the face for a presentation attack; ``details`` has probability and threshold."""

    code, status = "face_not_live", 422


class LivenessRequired(FaceError):
    """A collection's policy demands a liveness check and none was made; ``details["threshold"]`` is its threshold.

    :class:`~serve_app.service.FaceService` answers it by making the check, so callers of the service never see it.
    """

    code, status = "liveness_required", 422


class NotFound(FacegraphError):
    """Something named in the request does not exist (for this tenant)."""

    code, status = "not_found", 404


class CollectionNotFound(NotFound):
    """No collection of that name."""

    code = "collection_not_found"


class PersonNotFound(NotFound):
    """No person of that id (in that collection)."""

    code = "person_not_found"


class FaceUnknown(NotFound):
    """No enrolled face of that id."""

    code = "face_id_not_found"


class ImageNotStored(NotFound):
    """The face is enrolled, but its storage policy kept no such image."""

    code = "image_not_stored"


class TenantNotFound(NotFound):
    """No tenant of that name."""

    code = "tenant_not_found"


class KeyNotFound(NotFound):
    """No API key of that id."""

    code = "key_not_found"


class TaskNotFound(NotFound):
    """No task of that id, or it was so long ago that it is forgotten."""

    code = "task_not_found"


class UnknownNotFound(NotFound):
    """No unknown with this id in this collection, or it has expired."""

    code = "unknown_not_found"


class Conflict(FacegraphError):
    """The request contradicts what is stored."""

    code, status = "conflict", 409


class TenantExists(Conflict):
    """The tenant's name is taken."""

    code = "tenant_exists"


class CollectionExists(Conflict):
    """The collection's name is taken."""

    code = "collection_exists"


class CollectionNotEmpty(Conflict):
    """The collection still holds faces and the caller asked to be stopped by that."""

    code = "collection_not_empty"


class PersonExists(Conflict):
    """The person's id is taken and the caller asked for a new one."""

    code = "person_exists"


class DuplicateFace(Conflict):
    """The face already belongs to another person; ``details["person_id"]`` and ``details["score"]`` say whose."""

    code = "duplicate_face"


class FaceCountRefused(Conflict):
    """The person would have fewer or more faces than the caller allows; ``details`` has faces, min_faces, max_faces."""

    code = "face_count_refused"


class TaskRunning(Conflict):
    """The same is being done already; ``details["task_id"]`` says by which task."""

    code = "task_running"


class AuthError(FacegraphError):
    """Who calls is unknown, or may not do this."""

    code, status = "unauthorized", 401


class KeyMissing(AuthError):
    """No API key in the request."""

    code, status = "api_key_missing", 401


class KeyInvalid(AuthError):
    """The API key is unknown, revoked or expired."""

    code, status = "api_key_invalid", 401


class RoleInsufficient(AuthError):
    """The API key is valid, but its role does not allow this."""

    code, status = "forbidden", 403


class UnknownsNotKept(AuthError):
    """The collection's policy does not allow searches to keep unknown faces."""

    code, status = "unknowns_not_kept", 403


class RateLimited(FacegraphError):
    """The key's own rate limit; ``details["retry_after_s"]`` says when to come back."""

    code, status = "rate_limited", 429


class Overloaded(FacegraphError):
    """A stage's queue is full; ``details["retry_after_s"]`` says when to come back."""

    code, status = "overloaded", 429


class Unavailable(FacegraphError):
    """A stage cannot serve at the moment; the same request may be sent again.

    Nothing was written, unless ``details["outcome"]`` is ``unknown``: then all of it was written or nothing.
    """

    code, status = "unavailable", 503


class StoreUnavailable(Unavailable):
    """The database, the vector index or the blob store cannot be reached."""

    code = "store_unavailable"


class RequestTimeout(Unavailable):
    """The request took longer than the service works on one; the upload counts."""

    code = "request_timeout"


class LivenessUnavailable(Unavailable):
    """Liveness was asked for, but no liveness model is installed. Never a pass."""

    code, status = "liveness_unavailable", 501


class ConfigurationError(FacegraphError):
    """The service cannot start as configured; the message says what to change."""

    code = "configuration_error"


class ModelFileError(ConfigurationError):
    """A model file is missing, damaged or cannot be fetched; the message says where it was looked for."""

    code = "model_file_error"
