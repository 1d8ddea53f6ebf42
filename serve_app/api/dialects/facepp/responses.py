"""Responses of the Face++ dialect."""

from __future__ import annotations

import base64
from collections.abc import Collection as AnyOf
from typing import Any, TypeVar

from fastapi import Request
from fastapi.responses import Response
from pydantic import Field

from serve_app.api.dialects.facepp.attributes import attributes_of, landmark_of
from serve_app.api.dialects.facepp.errors import CORS, facepp_request_id, time_used
from serve_app.api.dialects.facepp.identifiers import outer_id_of
from serve_app.api.schemas.base import Answer
from serve_app.domain import Box, Collection, Face, Match
from serve_app.score import fmr_to_score

THRESHOLDS = {f"1e-{n}": round(100 * fmr_to_score(10.0**-n), 3) for n in (3, 4, 5)}
"""The same for every model, because the score is calibrated: 65, 70 and 75."""

A = TypeVar("A", bound=Answer)


class FaceppAnswer(Answer):
    """Fields of every response."""

    request_id: str = Field(examples=["1470481443,0d749845-7153-4f5e-a996-ffc5a1ac0a79"])
    time_used: int = Field(description="Milliseconds.", examples=[1126])


class FaceppRectangle(Answer):
    """Position of a face, in whole pixels."""

    top: int
    left: int
    width: int
    height: int

    @classmethod
    def of(cls, box: Box) -> FaceppRectangle:
        """Build from a box, cut at the left and upper border of the image."""
        left, top = max(0, round(box.x)), max(0, round(box.y))
        right, bottom = round(box.x + box.width), round(box.y + box.height)
        return cls(top=top, left=left, width=max(1, right - left), height=max(1, bottom - top))


class FaceppFace(Answer):
    """A face in an image."""

    face_token: str = Field(examples=["4dc8ba0650405fa7a4a5b0b5cb937f0b"])
    face_rectangle: FaceppRectangle
    landmark: dict[str, dict[str, int]] | None = Field(None, description="Five points, if they were requested.")
    attributes: dict[str, Any] | None = Field(None, description="The requested attributes; null if not measured.")

    @classmethod
    def of(cls, face: Face, landmark: bool = False, attributes: AnyOf[str] = ()) -> FaceppFace:
        """Build from the domain value."""
        fields: dict[str, Any] = {"face_token": face.id, "face_rectangle": FaceppRectangle.of(face.box)}
        if landmark:
            fields["landmark"] = landmark_of(face)
        if attributes:
            fields["attributes"] = attributes_of(face, attributes)
        return cls(**fields)


class FaceppFaceset(Answer):
    """A FaceSet in a listing."""

    faceset_token: str
    outer_id: str
    display_name: str
    tags: str

    @classmethod
    def fields_of(cls, collection: Collection) -> dict[str, str]:
        """The values of the fields."""
        return {
            "faceset_token": collection.id,
            "outer_id": outer_id_of(collection),
            "display_name": collection.title,
            "tags": ",".join(collection.tags),
        }


class FaceppFailure(Answer):
    """A face that was not added or removed."""

    face_token: str
    reason: str = Field(description="INVALID_FACE_TOKEN or QUOTA_EXCEEDED.")


class FaceppNamed(FaceppAnswer):
    """The FaceSet of the request."""

    faceset_token: str
    outer_id: str


class FaceppAdded(FaceppNamed):
    """The result of adding faces."""

    face_added: int
    face_count: int = Field(description="Faces in the FaceSet now.")
    failure_detail: list[FaceppFailure]


class FaceppRemoved(FaceppNamed):
    """The result of removing faces."""

    face_removed: int
    face_count: int = Field(description="Faces in the FaceSet now.")
    failure_detail: list[FaceppFailure]


class FaceppDetectAnswer(FaceppAnswer):
    """The faces of an image, largest first."""

    image_id: str
    face_num: int
    faces: list[FaceppFace]


class FaceppCompareAnswer(FaceppAnswer):
    """The similarity of two faces; without `confidence` and `thresholds` if an image shows no face."""

    confidence: float | None = Field(None, ge=0, le=100)
    thresholds: dict[str, float] | None = Field(None, examples=[THRESHOLDS])
    image_id1: str | None = None
    image_id2: str | None = None
    faces1: list[FaceppFace] | None = None
    faces2: list[FaceppFace] | None = None


class FaceppResult(Answer):
    """A face that was found."""

    face_token: str
    confidence: float = Field(ge=0, le=100)
    user_id: str = Field(description="Empty if none was set.")

    @classmethod
    def of(cls, match: Match) -> FaceppResult:
        """Build from the match. The `user_id` of a person's face is the person's id."""
        user_id = match.face.user_id or (match.person.id if match.person else "")
        return cls(face_token=match.face.id, confidence=confidence(match.score), user_id=user_id)


class FaceppSearchAnswer(FaceppAnswer):
    """The nearest faces; without `results` and `thresholds` if the image shows no face."""

    results: list[FaceppResult] | None = None
    thresholds: dict[str, float] | None = Field(None, examples=[THRESHOLDS])
    image_id: str | None = None
    faces: list[FaceppFace] | None = None


class FaceppAnalyzeAnswer(FaceppAnswer):
    """The faces, in the order of the request."""

    faces: list[FaceppFace]


class FaceppFaceAnswer(FaceppAnswer):
    """Data about a face."""

    image_id: str
    face_token: str
    user_id: str = Field(description="Empty if none was set.")
    face_rectangle: FaceppRectangle
    facesets: list[FaceppFaceset]


class FaceppUserIdAnswer(FaceppAnswer):
    """The face with its text."""

    face_token: str
    user_id: str


class FaceppDetailAnswer(FaceppAnswer, FaceppFaceset):
    """A FaceSet, and a page of a hundred of its faces."""

    user_data: str
    face_count: int
    face_tokens: list[str]
    next: str | None = Field(None, description="The `start` of the next page; left out on the last page.")


class FaceppListAnswer(FaceppAnswer):
    """A page of a hundred FaceSets."""

    facesets: list[FaceppFaceset]
    next: str | None = Field(None, description="The `start` of the next page; left out on the last page.")


class FaceppTaskAnswer(FaceppAnswer):
    """The id of the task."""

    task_id: str


class FaceppTaskStatus(FaceppAnswer):
    """The result of a task."""

    task_id: str
    status: int = Field(description="1 done, -1 failed.")
    faceset_token: str | None = None
    outer_id: str | None = None
    face_added: int | None = None
    face_removed: int | None = None
    face_count: int | None = None
    failure_detail: list[FaceppFailure] | None = None
    task_failure_detail: str | None = None


def image_id_of(image_id: str) -> str:
    """An image's id as base64 of its 16 bytes, as in Face++."""
    return base64.b64encode(bytes.fromhex(image_id)).decode()


def confidence(score: float) -> float:
    """The confidence of a score: 0 to 100, with 3 decimals."""
    return round(100 * score, 3)


def reply(request: Request, answer: type[A], **fields: Any) -> Response:
    """The response with these fields, ``request_id`` and ``time_used``; other fields are left out."""
    made = answer(request_id=facepp_request_id(request), time_used=time_used(request), **fields)
    headers = {"Cache-Control": "no-store", **CORS}
    return Response(made.model_dump_json(exclude_unset=True), 200, headers, media_type="application/json")
