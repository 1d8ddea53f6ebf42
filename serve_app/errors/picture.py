"""The picture, or a face on it, is not usable."""

from __future__ import annotations

from serve_app.errors.base import FacegraphError


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


class NoFaceDetected(FaceError):
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

    Where the request has pictures, the service answers it by making the check. Callers see it where there is nothing
    to check: faces that are enrolled already, or crops, come into such a collection.
    """

    code, status = "liveness_required", 422
