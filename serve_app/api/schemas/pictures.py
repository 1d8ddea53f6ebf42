"""Operations on images that are not stored: detect, compare, verify, liveness, embed."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from serve_app.api.schemas.base import (
    Answer,
    Body,
    CollectionName,
    ImageText,
    OneOrMore,
    PersonId,
    UploadField,
    Url,
    is_none,
)
from serve_app.api.schemas.collections import Probability, Score
from serve_app.api.schemas.faces import FaceOnPicture, ImageView, LeftOut, LivenessView, Rounded
from serve_app.domain import CheckedFace, Comparison, DetectedFace, Liveness

OptionalLiveness = Annotated[
    LivenessView | None, Field(exclude_if=is_none, description="Present only if liveness was checked.")
]


class PictureBody(Body):
    """One image, sent in exactly one of three ways."""

    image: UploadField | None = Field(None, description="The image as a file.")
    image_base64: ImageText | None = Field(None, description="The image as base64, bare or as a `data:` URL.")
    image_url: Url | None = Field(
        None, description="An http(s) URL of the image.", examples=["https://example.org/ada.jpg"]
    )


class DetectBody(PictureBody):
    """An image whose faces are detected."""

    max_faces: int | None = Field(None, ge=1, le=10_000, description="Maximum number of faces; the largest are kept.")
    liveness: bool = Field(False, description="Also check the liveness of each face.")


class LivenessBody(PictureBody):
    """An image of one person whose liveness is checked."""

    threshold: Probability | None = Field(None, description="Left out: the configured threshold.")


class EmbedBody(PictureBody):
    """An image whose faces are embedded."""

    faces: Literal["largest", "all"] = "largest"


class VerifyBody(PictureBody):
    """An image whose largest face is compared with one person."""

    person_id: PersonId
    collection: CollectionName | None = Field(None, description="If sent, the person must be in it.")
    min_score: Score | None = Field(None, description="Left out: 0.7, one false match in 10,000 comparisons.")
    liveness: bool = Field(False, description="Check liveness; a face that is not live is no match.")


class CompareBody(Body):
    """Two images, each sent in exactly one way. A form can also send two files, both named `image`."""

    image1: UploadField | None = Field(None, description="The first image as a file.")
    image1_base64: ImageText | None = None
    image1_url: Url | None = None
    image2: UploadField | None = Field(None, description="The second image as a file.")
    image2_base64: ImageText | None = None
    image2_url: Url | None = None
    image: Annotated[list[UploadField], OneOrMore] = Field(
        [], description="Both images, in order.", max_length=2, fail_fast=True
    )
    min_score: Score | None = Field(None, description="Left out: 0.7, one false match in 10,000 comparisons.")
    liveness: bool = Field(False, description="Check the first face's liveness; a face that is not live is no match.")

    @model_validator(mode="after")
    def _pair(self) -> CompareBody:
        if self.image and len(self.image) != 2:
            raise ValueError("two files named image were expected, got one")
        return self

    def picture(self, number: Literal[1, 2]) -> dict[str, Any]:
        """The fields that can contain the first or the second image, by name."""
        name = f"image{number}"
        ways = {way: getattr(self, way) for way in (name, f"{name}_base64", f"{name}_url")}
        return {**ways, "image": self.image[number - 1]} if self.image else ways


class DetectedFaceView(FaceOnPicture):
    """A face of an image."""

    liveness: OptionalLiveness = None

    @classmethod
    def of(cls, checked: CheckedFace) -> DetectedFaceView:
        """Build from the domain value."""
        return cls(**cls.fields_of(checked.face), liveness=checked.liveness)


class DetectAnswer(Answer):
    """The faces of an image, largest first."""

    request_id: str
    image: ImageView
    faces: list[DetectedFaceView]
    faces_left_out: LeftOut


class LivenessAnswer(LivenessView, FaceOnPicture):
    """Whether the person in an image is live."""

    request_id: str

    @classmethod
    def about(cls, request_id: str, face: DetectedFace, liveness: Liveness) -> LivenessAnswer:
        """Build from the domain value."""
        return cls(request_id=request_id, **dict(LivenessView.of(liveness)), **cls.fields_of(face))


class ComparisonAnswer(Answer):
    """The result of a comparison of two faces."""

    request_id: str
    score: Rounded = Field(
        description="Calibrated, 0 to 1: each 0.05 is one order of magnitude of FMR.", examples=[0.86]
    )
    is_match: bool = Field(description="Whether the score reaches min_score, and no liveness check failed.")
    min_score: Rounded = Field(examples=[0.7])
    fmr: float = Field(description="Share of pairs of different people that reach this score.", examples=[6e-8])
    distance: Rounded = Field(description="Cosine distance, 0 to 2.", examples=[0.41])
    model: str = Field(examples=["sface-2021dec"])
    liveness: OptionalLiveness = None

    @classmethod
    def of(cls, request_id: str, comparison: Comparison, **others: Any) -> Self:
        """Build from the domain value and the fields of the subclass."""
        fields = {name: getattr(comparison, name) for name in ComparisonAnswer.model_fields if name != "request_id"}
        return cls(request_id=request_id, **fields, **others)


class CompareAnswer(ComparisonAnswer):
    """The comparison of the largest faces of two images."""

    faces: list[FaceOnPicture] = Field(description="The two faces, in the order of the images.")


class VerifyAnswer(ComparisonAnswer):
    """The comparison of the largest face of an image with one person."""

    person_id: str
    face_id: str = Field(description="The person's most similar enrolled face.")
    face: FaceOnPicture


class EmbeddedFaceView(FaceOnPicture):
    """A face of an image with its template."""

    embedding: list[float] = Field(description="The template: a vector of length 1.")


class EmbedAnswer(Answer):
    """Templates. Treat them as biometric data."""

    request_id: str
    image: ImageView
    model: str = Field(examples=["sface-2021dec"])
    dimension: int = Field(examples=[128])
    faces: list[EmbeddedFaceView]
    faces_left_out: LeftOut
