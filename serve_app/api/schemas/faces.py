"""Faces in responses: detected in an image, or enrolled."""

from __future__ import annotations

import datetime as dt
from typing import Any

from numpy.typing import NDArray
from pydantic import Field

from serve_app.api.schemas.base import Answer
from serve_app.domain import Box, DetectedFace, Face, ImageInfo, ImageStorage, Liveness, Quality, QualityCode

PIXEL_DIGITS = 2
"""Decimal places of pixel coordinates, far more precise than any detector."""

SCORE_DIGITS = 6
"""Decimal places of scores, distances and probabilities."""


def rounded(value: float) -> float:
    """A score, distance or probability rounded for responses."""
    return round(float(value), SCORE_DIGITS)


class BoxView(Answer):
    """A rectangle in pixels of the upright image, origin at the top left; it can extend beyond the image."""

    x: float = Field(examples=[211.5])
    y: float = Field(examples=[120.25])
    width: float = Field(examples=[98.0])
    height: float = Field(examples=[131.5])

    @classmethod
    def of(cls, box: Box) -> BoxView:
        """Build from the domain value."""
        return cls(
            x=round(float(box.x), PIXEL_DIGITS),
            y=round(float(box.y), PIXEL_DIGITS),
            width=round(float(box.width), PIXEL_DIGITS),
            height=round(float(box.height), PIXEL_DIGITS),
        )


class PointView(Answer):
    """A point in pixels of the upright image."""

    x: float
    y: float


class LandmarksView(Answer):
    """Five points; right and left are those of the person in the image."""

    right_eye: PointView
    left_eye: PointView
    nose: PointView
    mouth_right: PointView
    mouth_left: PointView

    @classmethod
    def of(cls, landmarks: NDArray[Any]) -> LandmarksView:
        """Build from the domain's (5, 2) array."""
        points = [PointView(x=round(x, PIXEL_DIGITS), y=round(y, PIXEL_DIGITS)) for x, y in landmarks.tolist()]
        right_eye, left_eye, nose, mouth_right, mouth_left = points
        return cls(right_eye=right_eye, left_eye=left_eye, nose=nose, mouth_right=mouth_right, mouth_left=mouth_left)


class QualityView(Answer):
    """Measurements behind the quality of a face."""

    sharpness: float = Field(description="Variance of the Laplacian of the aligned 112x112 face, grey levels squared.")
    brightness: float = Field(description="Mean grey level of the aligned face, 0 to 255.")
    eye_distance: float = Field(description="Pixels between the eyes.")
    roll: float = Field(description="In-plane rotation in degrees, positive clockwise in the image.")
    yaw: float = Field(description="Left-right rotation in degrees.")
    codes: list[QualityCode] = Field(description="Faults of the face; empty if there are none.")

    @classmethod
    def of(cls, quality: Quality) -> QualityView:
        """Build from the domain value."""
        return cls(
            sharpness=round(float(quality.sharpness), 2),
            brightness=round(float(quality.brightness), 2),
            eye_distance=round(float(quality.eye_distance), 2),
            roll=round(float(quality.roll), 2),
            yaw=round(float(quality.yaw), 2),
            codes=sorted(quality.codes),
        )


class LivenessView(Answer):
    """Presentation attack detection for one face."""

    is_live: bool = Field(description="Whether the probability reaches the threshold.")
    probability: float = Field(description="Of a live person, 0 to 1: the mean over the models.", examples=[0.97])
    threshold: float = Field(examples=[0.5])
    models: dict[str, float] = Field(description="Each model's probability.", examples=[{"minifasnet-v2": 0.97}])

    @classmethod
    def of(cls, liveness: Liveness) -> LivenessView:
        """Build from the domain value."""
        return cls(**cls.fields_of_liveness(liveness))

    @classmethod
    def fields_of_liveness(cls, liveness: Liveness) -> dict[str, Any]:
        """The values of the fields."""
        return {
            "is_live": liveness.is_live,
            "probability": rounded(liveness.probability),
            "threshold": rounded(liveness.threshold),
            "models": {name: rounded(value) for name, value in liveness.models.items()},
        }


class ImageView(Answer):
    """Size of the upright image in pixels (EXIF orientation applied)."""

    width: int = Field(examples=[640])
    height: int = Field(examples=[480])

    @classmethod
    def of(cls, image: ImageInfo) -> ImageView:
        """Build from the domain value."""
        return cls(width=image.width, height=image.height)


class FaceOnPicture(Answer):
    """Position and quality of a face in an image."""

    box: BoxView
    landmarks: LandmarksView
    detection_score: float = Field(description="0 to 1.", examples=[0.93])
    quality: float = Field(description="0 (useless) to 1: the probability of being recognised.", examples=[0.81])
    quality_details: QualityView

    @classmethod
    def fields_of(cls, face: DetectedFace) -> dict[str, Any]:
        """The values of the fields."""
        return {
            "box": BoxView.of(face.box),
            "landmarks": LandmarksView.of(face.landmarks),
            "detection_score": rounded(face.detection_score),
            "quality": rounded(face.quality.value),
            "quality_details": QualityView.of(face.quality),
        }


class FaceView(Answer):
    """An enrolled face."""

    id: str = Field(description="32 hexadecimal digits.", examples=["5f0c6d7e8a9b4c1d8e2f3a4b5c6d7e8f"])
    person_id: str | None = Field(description="The face's person; null for an unassigned face.")
    image_id: str = Field(description="The same for all faces of one image.")
    box: BoxView
    quality: float = Field(examples=[0.81])
    detection_score: float = Field(examples=[0.93])
    model: str = Field(description="The embedder that made the template.", examples=["sface-2021dec"])
    image_storage: ImageStorage = Field(description="What was stored of the image.")
    created: dt.datetime
    expires: dt.datetime | None = Field(description="When an unassigned face is removed; null: never.")

    @classmethod
    def of(cls, face: Face) -> FaceView:
        """Build from the domain value."""
        return cls(
            id=face.id,
            person_id=face.person_id,
            image_id=face.image_id,
            box=BoxView.of(face.box),
            quality=rounded(face.quality),
            detection_score=rounded(face.detection_score),
            model=face.model,
            image_storage=face.storage,
            created=face.created,
            expires=face.expires,
        )
