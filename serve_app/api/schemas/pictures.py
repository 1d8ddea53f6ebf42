"""Requests about pictures that are not stored: detect, compare, verify, liveness, embed; and their answers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from serve_app.api.schemas.base import Answer, Body, CollectionName, OneOrMore, PersonId, UploadField, is_none
from serve_app.api.schemas.collections import Probability, Score
from serve_app.api.schemas.faces import FaceOnPicture, ImageView, LivenessView, rounded
from serve_app.domain import CheckedFace, Comparison, DetectedFace, Liveness

OptionalLiveness = Annotated[
    LivenessView | None, Field(exclude_if=is_none, description="Only when liveness was checked.")
]


class PictureBody(Body):
    """One picture, given in exactly one of three ways."""

    image: UploadField | None = Field(None, description="The picture as a file.")
    image_base64: str | None = Field(None, description="The picture as base64, bare or as a `data:` URL.")
    image_url: str | None = Field(
        None, description="An http(s) URL of the picture.", examples=["https://example.org/ada.jpg"]
    )


class DetectBody(PictureBody):
    """Which faces are on the picture?"""

    max_faces: int | None = Field(None, ge=1, le=10_000, description="Only the largest so many.")
    liveness: bool = Field(False, description="Also judge each face's liveness.")


class LivenessBody(PictureBody):
    """Is the one person on the picture live?"""

    threshold: Probability | None = Field(None, description="Left out: as the service is configured.")


class EmbedBody(PictureBody):
    """Templates of the faces on the picture."""

    faces: Literal["largest", "all"] = "largest"


class VerifyBody(PictureBody):
    """Is the largest face on the picture this person's?"""

    person_id: PersonId
    collection: CollectionName | None = Field(None, description="The person must be in it.")
    min_score: Score | None = Field(None, description="Left out: 0.7, one false match in 10,000 comparisons.")
    liveness: bool = Field(False, description="A face that is not live is no match.")


class CompareBody(Body):
    """Two pictures, each given in exactly one way. A form may also send two files, both named `image`."""

    image1: UploadField | None = Field(None, description="The first picture as a file.")
    image1_base64: str | None = None
    image1_url: str | None = None
    image2: UploadField | None = Field(None, description="The second picture as a file.")
    image2_base64: str | None = None
    image2_url: str | None = None
    image: Annotated[list[UploadField], OneOrMore] = Field([], description="Both pictures, in order.", max_length=2)
    min_score: Score | None = Field(None, description="Left out: 0.7, one false match in 10,000 comparisons.")
    liveness: bool = Field(False, description="Judge the first face's liveness; one that is not live is no match.")

    @model_validator(mode="after")
    def _pair(self) -> CompareBody:
        if self.image and len(self.image) != 2:
            raise ValueError("two files named image were expected, got one")
        return self

    def picture(self, number: Literal[1, 2]) -> dict[str, Any]:
        """The ways in which one of the two may be given, by the field's name."""
        name = f"image{number}"
        ways = {way: getattr(self, way) for way in (name, f"{name}_base64", f"{name}_url")}
        return {**ways, "image": self.image[number - 1]} if self.image else ways


class DetectedFaceView(FaceOnPicture):
    """A face of a picture."""

    liveness: OptionalLiveness = None

    @classmethod
    def of(cls, checked: CheckedFace) -> DetectedFaceView:
        """From the domain."""
        liveness = LivenessView.of(checked.liveness) if checked.liveness else None
        return cls(**cls.fields_of(checked.face), liveness=liveness)


class DetectAnswer(Answer):
    """The faces of a picture, largest first."""

    request_id: str
    image: ImageView
    faces: list[DetectedFaceView]


class LivenessAnswer(LivenessView, FaceOnPicture):
    """Whether the one person on a picture is live."""

    request_id: str

    @classmethod
    def about(cls, request_id: str, face: DetectedFace, liveness: Liveness) -> LivenessAnswer:
        """From the domain."""
        return cls(request_id=request_id, **LivenessView.fields_of_liveness(liveness), **cls.fields_of(face))


class ComparisonAnswer(Answer):
    """How alike two faces are."""

    request_id: str
    score: float = Field(description="Calibrated, 0 to 1: each 0.05 is one order of magnitude of FMR.", examples=[0.86])
    is_match: bool = Field(description="Whether the score reaches min_score and no face was found not to be live.")
    min_score: float = Field(examples=[0.7])
    fmr: float = Field(description="Share of pairs of different people that reach this score.", examples=[6e-8])
    distance: float = Field(description="Cosine distance, 0 to 2.", examples=[0.41])
    model: str = Field(examples=["sface-2021dec"])
    liveness: OptionalLiveness = None

    @classmethod
    def fields_of(cls, request_id: str, comparison: Comparison) -> dict[str, Any]:
        """The fields, from the domain."""
        return {
            "request_id": request_id,
            "score": rounded(comparison.score),
            "is_match": comparison.is_match,
            "min_score": rounded(comparison.min_score),
            "fmr": comparison.fmr,
            "distance": rounded(comparison.distance),
            "model": comparison.model,
            "liveness": LivenessView.of(comparison.liveness) if comparison.liveness else None,
        }


class CompareAnswer(ComparisonAnswer):
    """The largest faces of two pictures compared."""

    faces: list[FaceOnPicture] = Field(description="The two faces, in the order of the pictures.")


class VerifyAnswer(ComparisonAnswer):
    """The largest face of a picture compared with one person."""

    person_id: str
    face_id: str = Field(description="The person's enrolled face that is most alike.")
    face: FaceOnPicture


class EmbeddedFaceView(FaceOnPicture):
    """A face of a picture with its template."""

    embedding: list[float] = Field(description="The template: a vector of length 1.")


class EmbedAnswer(Answer):
    """Templates. Treat them as biometric data."""

    request_id: str
    image: ImageView
    model: str = Field(examples=["sface-2021dec"])
    dimension: int = Field(examples=[128])
    faces: list[EmbeddedFaceView]
