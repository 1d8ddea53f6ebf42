"""Errors about authorisation, rate limits, availability and configuration."""

from __future__ import annotations

from serve_app.errors.base import FacegraphError


class AuthError(FacegraphError):
    """The caller is unknown or not allowed to do this."""

    code, status = "unauthorized", 401


class KeyMissing(AuthError):
    """The request has no API key."""

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
    """The API key's rate limit is exceeded; ``details["retry_after_s"]`` says how many seconds to wait."""

    code, status = "rate_limited", 429


class Overloaded(FacegraphError):
    """A stage's queue is full; ``details["retry_after_s"]`` says how many seconds to wait."""

    code, status = "overloaded", 429


class Unavailable(FacegraphError):
    """A stage cannot serve at the moment; the same request can be sent again.

    Nothing was written, unless ``details["outcome"]`` is ``unknown``: then either everything was written or nothing.
    """

    code, status = "unavailable", 503


class StoreUnavailable(Unavailable):
    """The database, the vector index or the images store cannot be reached."""

    code = "store_unavailable"


class RequestTimeout(Unavailable):
    """The request exceeded the service's time limit for one request, which includes the upload."""

    code = "request_timeout"


class LivenessUnavailable(Unavailable):
    """Liveness was asked for, but no liveness model is installed. A face is never accepted without the check."""

    code, status = "liveness_unavailable", 501


class ConfigurationError(FacegraphError):
    """The service cannot start as configured; the message says what to change."""

    code = "configuration_error"


class ModelFileError(ConfigurationError):
    """A model file is missing, damaged or cannot be fetched; the message says where it was searched for."""

    code = "model_file_error"
