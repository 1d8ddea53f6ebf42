"""Errors about images and the faces on them."""

from __future__ import annotations

from serve_app.errors.base import FacegraphError


class ImageError(FacegraphError):
    """The image cannot be used."""

    code, status = "image_error", 400


class ImageTooLarge(ImageError):
    """The image has more bytes or more pixels than the service accepts. Send a smaller image."""

    code, status = "image_too_large", 413


class ImageFormatUnsupported(ImageError):
    """The image is not a JPEG, PNG, WebP or BMP file."""

    code, status = "image_format_unsupported", 415


class ImageUndecodable(ImageError):
    """The image is damaged or truncated, or its base64 is invalid."""

    code, status = "image_undecodable", 400


class ImageDimensions(ImageError):
    """A side of the image is too short to show a face."""

    code, status = "image_too_small", 400


class NotACrop(ImageError):
    """The image is not an aligned face of 112 x 112 pixels, as returned by detection."""

    code, status = "not_a_crop", 400


class ImageUrlError(ImageError):
    """The image could not be fetched from its URL."""

    code, status = "image_url_invalid", 400


class ImageUrlRefused(ImageUrlError):
    """The URL leads to an address that the service must not contact, or fetching from URLs is switched off."""

    code, status = "image_url_refused", 400


class ImageDownloadFailed(ImageUrlError):
    """The URL's server refused, failed, or answered with something other than an image."""

    code, status = "image_download_failed", 400


class ImageDownloadTimeout(ImageUrlError):
    """The URL's server took too long."""

    code, status = "image_download_timeout", 412


class FaceError(FacegraphError):
    """The image is valid, but its faces cannot be used for this request."""

    code, status = "face_error", 422


class NoFaceDetected(FaceError):
    """The image shows no face."""

    code, status = "face_not_found", 422


class TooManyFaces(FaceError):
    """The image shows more than the one face that this request needs."""

    code, status = "too_many_faces", 422


class FaceRejected(FaceError):
    """The face's quality forbids the operation; ``details["codes"]`` lists :class:`~serve_app.domain.QualityCode`."""

    code, status = "face_rejected", 422


class QualityTooLow(FaceRejected):
    """The face's quality is below ``reject_below``; ``details`` has quality and needed, and no codes."""

    code, status = "quality_too_low", 422


class FaceNotLive(FaceError):
    """The liveness check classified the face as a presentation attack; ``details`` has probability and threshold."""

    code, status = "face_not_live", 422


class LivenessRequired(FaceError):
    """A collection's policy demands a liveness check and none was made; ``details["threshold"]`` is its threshold.

    If the request has images, the service catches the error and makes the check. Callers see it when there is nothing
    to check: when enrolled faces or crops are added to such a collection.
    """

    code, status = "liveness_required", 422
