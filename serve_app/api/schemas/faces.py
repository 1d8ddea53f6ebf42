"""Faces in responses: detected in an image, or enrolled."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal

from numpy.typing import NDArray
from pydantic import AliasPath, BeforeValidator, Field

from serve_app.api.schemas.base import Answer, View
from serve_app.domain import DetectedFace, ImageStorage, QualityCode

PIXEL_DIGITS = 2
"""Decimal places of pixel coordinates, far more precise than any detector."""

SCORE_DIGITS = 6
"""Decimal places of scores, distances and probabilities."""


Rounded = Annotated[float, BeforeValidator(lambda value: round(float(value), SCORE_DIGITS))]
"""Scores, distances and probabilities."""

Hundredths = Annotated[float, BeforeValidator(lambda value: round(float(value), PIXEL_DIGITS))]
"""Pixel coordinates and measurements of quality."""


Turned = Annotated[
    Literal[0, 90, 180, 270],
    Field(
        description="Degrees clockwise by which the face is turned in the image: 90 if the top of the head is to the "
        "right. It is compared as if it were upright."
    ),
]

LeftOut = Annotated[
    int,
    Field(
        description="Number of faces that were found but are not in `faces`, because there are more than "
        "`max_faces_per_image` of GET /v1/info; the smallest are left out."
    ),
]


class BoxView(View):
    """A rectangle in pixels of the upright image, origin at the top left; it can extend beyond the image."""

    x: Hundredths = Field(examples=[211.5])
    y: Hundredths = Field(examples=[120.25])
    width: Hundredths = Field(examples=[98.0])
    height: Hundredths = Field(examples=[131.5])


class PointView(Answer):
    """A point in pixels of the upright image."""

    x: Hundredths
    y: Hundredths


class LandmarksView(Answer):
    """Five points; right and left are those of the person in the image."""

    # in the order of the domain's landmarks
    right_eye: PointView
    left_eye: PointView
    nose: PointView
    mouth_right: PointView
    mouth_left: PointView

    @classmethod
    def of(cls, landmarks: NDArray[Any]) -> LandmarksView:
        """Build from the domain's (5, 2) array."""
        points = (PointView(x=x, y=y) for x, y in landmarks.tolist())
        return cls(**dict(zip(cls.model_fields, points, strict=True)))


class QualityView(View):
    """Measurements behind the quality of a face."""

    sharpness: Hundredths = Field(
        description="Variance of the Laplacian of the aligned 112x112 face, grey levels squared."
    )
    brightness: Hundredths = Field(description="Mean grey level of the aligned face, 0 to 255.")
    eye_distance: Hundredths = Field(description="Pixels between the eyes.")
    roll: Hundredths = Field(
        description="In-plane rotation in the image in degrees, positive clockwise, -180 to 180; includes `turned`."
    )
    yaw: Hundredths = Field(description="Left-right rotation in degrees.")
    codes: Annotated[list[QualityCode], BeforeValidator(sorted)] = Field(
        description="Faults of the face; empty if there are none."
    )


class LivenessView(View):
    """Presentation attack detection for one face."""

    is_live: bool = Field(description="Whether the probability reaches the threshold.")
    probability: Rounded = Field(description="Of a live person, 0 to 1: the mean over the models.", examples=[0.97])
    threshold: Rounded = Field(examples=[0.5])
    models: dict[str, Rounded] = Field(description="Each model's probability.", examples=[{"minifasnet-v2": 0.97}])


class ImageView(View):
    """Size of the upright image in pixels (EXIF orientation applied)."""

    width: int = Field(examples=[640])
    height: int = Field(examples=[480])


class FaceOnPicture(Answer):
    """Position and quality of a face in an image."""

    box: BoxView
    landmarks: LandmarksView
    detection_score: Rounded = Field(description="0 to 1.", examples=[0.93])
    quality: Rounded = Field(description="0 (useless) to 1: the probability of being recognised.", examples=[0.81])
    quality_details: QualityView
    turned: Turned

    @classmethod
    def fields_of(cls, face: DetectedFace) -> dict[str, Any]:
        """The values of the fields."""
        return {
            "box": face.box,
            "landmarks": LandmarksView.of(face.landmarks),
            "detection_score": face.detection_score,
            "quality": face.quality.value,
            "quality_details": face.quality,
            "turned": face.turned,
        }


class FaceView(View):
    """An enrolled face."""

    id: str = Field(description="32 hexadecimal digits.", examples=["5f0c6d7e8a9b4c1d8e2f3a4b5c6d7e8f"])
    person_id: str | None = Field(description="The face's person; null for an unassigned face.")
    image_id: str = Field(description="The same for all faces of one image.")
    box: BoxView
    quality: Rounded = Field(examples=[0.81])
    detection_score: Rounded = Field(examples=[0.93])
    model: str = Field(description="The embedder that made the template.", examples=["sface-2021dec"])
    image_storage: ImageStorage = Field(validation_alias="storage", description="What was stored of the image.")
    created: dt.datetime
    expires: dt.datetime | None = Field(description="When an unassigned face is removed; null: never.")
    turned: Turned | None = Field(
        None,
        validation_alias=AliasPath("appearance", "turned"),
        description="Degrees clockwise by which the face is turned in its image; null if that was not kept.",
    )
