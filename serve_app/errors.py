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

from functools import partial
from typing import Any, ClassVar


class FacegraphError(Exception):
    """Base of all errors that facegraph raises on purpose.

    Attributes:
        code: stable identifier; subclasses give it, and a status other than their base's, as class arguments.
        status: HTTP status in the native API.
        message: explanation for people.
        details: JSON-ready facts for programs.
    """

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500

    def __init_subclass__(cls, *, code: str = "", status: int = 0) -> None:
        cls.code, cls.status = code or cls.code, status or cls.status

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details: dict[str, Any] = details

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), self.message, **self.details), ()


class InvalidRequest(FacegraphError, code="invalid_request", status=400):
    """A parameter is missing, malformed or contradicts another one."""


class ImageError(FacegraphError, code="image_error", status=400):
    """The image cannot be used."""


class ImageTooLarge(ImageError, code="image_too_large", status=413):
    """The image has more bytes, pixels, scans or chunks than the service accepts. Send a smaller image."""


class ImageFormatUnsupported(ImageError, code="image_format_unsupported", status=415):
    """The image is not a JPEG, PNG, WebP or BMP file."""


class ImageUndecodable(ImageError, code="image_undecodable"):
    """The image is damaged or truncated, or its base64 is invalid."""


class ImageDimensions(ImageError, code="image_too_small"):
    """A side of the image is too short to show a face."""


class NotACrop(ImageError, code="not_a_crop"):
    """The image is not an aligned face of 112 x 112 pixels, as returned by detection."""


class ImageUrlError(ImageError, code="image_url_invalid"):
    """The image could not be fetched from its URL."""


class ImageUrlRefused(ImageUrlError, code="image_url_refused"):
    """The URL leads to an address that the service must not contact, or fetching from URLs is switched off."""


class ImageDownloadFailed(ImageUrlError, code="image_download_failed"):
    """The URL's server refused, failed, or answered with something other than an image."""


class ImageDownloadTimeout(ImageUrlError, code="image_download_timeout", status=412):
    """The URL's server took too long."""


class FaceError(FacegraphError, code="face_error", status=422):
    """The image is valid, but its faces cannot be used for this request."""


class NoFaceDetected(FaceError, code="face_not_found"):
    """The image shows no face."""


class TooManyFaces(FaceError, code="too_many_faces"):
    """The image shows more than the one face that this request needs."""


class FaceRejected(FaceError, code="face_rejected"):
    """The face's quality forbids the operation; ``details["codes"]`` lists :class:`~serve_app.domain.QualityCode`."""


class QualityTooLow(FaceRejected, code="quality_too_low"):
    """The face's quality is below ``reject_below``; ``details`` has quality and needed, and no codes."""


class FaceNotLive(FaceError, code="face_not_live"):
    """The liveness check classified the face as a presentation attack; ``details`` has probability and threshold."""


class LivenessRequired(FaceError, code="liveness_required"):
    """A collection's policy demands a liveness check and none was made; ``details["threshold"]`` is its threshold.

    If the request has images, the service catches the error and makes the check. Callers see it when there is nothing
    to check: when enrolled faces or crops are added to such a collection.
    """


class NotFound(FacegraphError, code="not_found", status=404):
    """Something named in the request does not exist (for this tenant)."""


class CollectionNotFound(NotFound, code="collection_not_found"):
    """There is no collection of that name."""


class PersonNotFound(NotFound, code="person_not_found"):
    """There is no person with that id (in that collection)."""


class FaceIdNotFound(NotFound, code="face_id_not_found"):
    """There is no enrolled face with that id."""


class ImageNotStored(NotFound, code="image_not_stored"):
    """The face is enrolled, but its storage policy kept no such image."""


class TenantNotFound(NotFound, code="tenant_not_found"):
    """There is no tenant of that name."""


class KeyNotFound(NotFound, code="key_not_found"):
    """There is no API key with that id."""


class TaskNotFound(NotFound, code="task_not_found"):
    """There is no task with that id, or its record has expired."""


class UnknownNotFound(NotFound, code="unknown_not_found"):
    """There is no unknown with that id in that collection, or it has expired."""


class Conflict(FacegraphError, code="conflict", status=409):
    """The request contradicts what is stored."""


class TenantExists(Conflict, code="tenant_exists"):
    """The tenant's name is taken."""


class CollectionExists(Conflict, code="collection_exists"):
    """The collection's name is taken."""


class CollectionNotEmpty(Conflict, code="collection_not_empty"):
    """The collection still has faces, and the caller asked to delete it only if it is empty."""


class PersonExists(Conflict, code="person_exists"):
    """The person's id is taken, and the caller asked to create a new person."""


class DuplicateFace(Conflict, code="duplicate_face"):
    """The face already belongs to another person; ``details`` has person_id and score of the match."""


class FaceCountRefused(Conflict, code="face_count_refused"):
    """The person would have fewer or more faces than the caller allows; ``details`` has faces, min_faces, max_faces."""


class TaskRunning(Conflict, code="task_running"):
    """A task for the same work is running already; ``details["task_id"]`` is its id."""


class AuthError(FacegraphError, code="unauthorized", status=401):
    """The caller is unknown or not allowed to do this."""


class KeyMissing(AuthError, code="api_key_missing"):
    """The request has no API key."""


class KeyInvalid(AuthError, code="api_key_invalid"):
    """The API key is unknown, revoked or expired."""


class RoleInsufficient(AuthError, code="forbidden", status=403):
    """The API key is valid, but its role does not allow this."""


class UnknownsNotKept(AuthError, code="unknowns_not_kept", status=403):
    """The collection's policy does not allow searches to keep unknown faces."""


class RateLimited(FacegraphError, code="rate_limited", status=429):
    """The API key's rate limit is exceeded; ``details["retry_after_s"]`` says how many seconds to wait."""


class Overloaded(FacegraphError, code="overloaded", status=429):
    """A queue is full, or the API key's share of it; ``details["retry_after_s"]`` says how many seconds to wait."""


class Unavailable(FacegraphError, code="unavailable", status=503):
    """A stage cannot serve at the moment; the same request can be sent again.

    Nothing was written, unless ``details["outcome"]`` is ``unknown``: then either everything was written or nothing.
    """


class StoreUnavailable(Unavailable, code="store_unavailable"):
    """The database, the vector index or the images store cannot be reached."""


class RequestTimeout(Unavailable, code="request_timeout"):
    """The request exceeded the service's time limit for one request, which includes the upload."""


class LivenessUnavailable(Unavailable, code="liveness_unavailable", status=501):
    """Liveness was asked for, but no liveness model is installed. A face is never accepted without the check."""


class ConfigurationError(FacegraphError, code="configuration_error"):
    """The service cannot start as configured; the message says what to change."""


class ModelFileError(ConfigurationError, code="model_file_error"):
    """A model file is missing, damaged or cannot be fetched; the message says where it was searched for."""


FaceNotFound = NoFaceDetected
FaceUnknown = FaceIdNotFound
"""Former names of the two errors, kept for programs that use the Python handle."""
