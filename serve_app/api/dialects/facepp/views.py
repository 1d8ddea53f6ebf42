"""How faces and FaceSets look in answers."""

from __future__ import annotations

import base64
from collections.abc import Collection as AnyOf
from typing import Any

from pydantic import Field

from serve_app.api.dialects.facepp.outer_ids import outer_id_of
from serve_app.api.schemas.base import Answer
from serve_app.domain import Box, Collection, Face
from serve_app.score import fmr_to_score
from serve_app.vision.quality import FULL_SHARPNESS

THRESHOLDS = {f"1e-{n}": round(100 * fmr_to_score(10.0**-n), 3) for n in (3, 4, 5)}
"""Constant for every model, since the score is calibrated: 65, 70 and 75."""

ATTRIBUTES = (
    "gender",
    "age",
    "smiling",
    "headpose",
    "facequality",
    "blur",
    "eyestatus",
    "emotion",
    "ethnicity",
    "beauty",
    "mouthstatus",
    "eyegaze",
    "skinstatus",
)
ALIASES = {"smile": "smiling"}

HALF = 50.0
"""The middle of a scale of 100: what the vendor's clients compare ``value`` with."""

EYE = (
    "occlusion",
    "no_glass_eye_open",
    "normal_glass_eye_close",
    "normal_glass_eye_open",
    "dark_glasses",
    "no_glass_eye_close",
)
GAZE = (
    "position_x_coordinate",
    "position_y_coordinate",
    "vector_x_component",
    "vector_y_component",
    "vector_z_component",
)
LANDMARKS = ("left_eye_center", "right_eye_center", "nose_tip", "mouth_left_corner", "mouth_right_corner")
"""Face++ calls left what is left on the picture: the right eye of the person shown."""


def _unknown(*names: str) -> dict[str, None]:
    return dict.fromkeys(names)


UNMEASURED: dict[str, dict[str, Any]] = {
    "gender": {"gender": _unknown("value")},
    "age": {"age": _unknown("value")},
    "smiling": {"smile": _unknown("value", "threshold")},
    "eyestatus": {"eyestatus": {"left_eye_status": _unknown(*EYE), "right_eye_status": _unknown(*EYE)}},
    "emotion": {
        "emotion": _unknown("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"),
    },
    "ethnicity": {"ethnicity": _unknown("value")},
    "beauty": {"beauty": _unknown("male_score", "female_score")},
    "mouthstatus": {"mouthstatus": _unknown("surgical_mask_or_respirator", "other_occlusion", "close", "open")},
    "eyegaze": {"eyegaze": {"left_eye_gaze": _unknown(*GAZE), "right_eye_gaze": _unknown(*GAZE)}},
    "skinstatus": {"skinstatus": _unknown("health", "stain", "acne", "dark_circle")},
}
"""What no model here measures: the vendor's keys, so that clients find them, and null, since nothing is invented."""


class FaceppRectangle(Answer):
    """Where a face is, in whole pixels."""

    top: int
    left: int
    width: int
    height: int

    @classmethod
    def of(cls, box: Box) -> FaceppRectangle:
        """Inside the picture's left and upper border."""
        left, top = max(0, round(box.x)), max(0, round(box.y))
        right, bottom = round(box.x + box.width), round(box.y + box.height)
        return cls(top=top, left=left, width=max(1, right - left), height=max(1, bottom - top))


class FaceppFace(Answer):
    """A face on a picture."""

    face_token: str = Field(examples=["4dc8ba0650405fa7a4a5b0b5cb937f0b"])
    face_rectangle: FaceppRectangle
    landmark: dict[str, dict[str, int]] | None = Field(None, description="Five points, where they were asked for.")
    attributes: dict[str, Any] | None = Field(None, description="Those asked for; null where nothing measures it.")

    @classmethod
    def of(cls, face: Face, landmark: bool = False, attributes: AnyOf[str] = ()) -> FaceppFace:
        """From the domain."""
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
        """From the domain."""
        return {
            "faceset_token": collection.id,
            "outer_id": outer_id_of(collection),
            "display_name": collection.title,
            "tags": ",".join(collection.tags),
        }


class FaceppAnswer(Answer):
    """What every answer has."""

    request_id: str = Field(examples=["1470481443,0d749845-7153-4f5e-a996-ffc5a1ac0a79"])
    time_used: int = Field(description="Milliseconds.", examples=[1126])


def image_id_of(image_id: str) -> str:
    """An image's id as Face++ writes one: 16 bytes in base64."""
    return base64.b64encode(bytes.fromhex(image_id)).decode()


def confidence(score: float) -> float:
    """0 to 100 with 3 decimals."""
    return round(100 * score, 3)


def landmark_of(face: Face) -> dict[str, dict[str, int]]:
    """The five points by the vendor's names; none for a face that was enrolled without them."""
    points = face.appearance.landmarks if face.appearance else ()
    return {name: {"x": round(x), "y": round(y)} for name, (x, y) in zip(LANDMARKS, points, strict=False)}


def attributes_of(face: Face, names: AnyOf[str]) -> dict[str, Any]:
    """The attributes that were asked for."""
    found: dict[str, Any] = {}
    seen = face.appearance
    for name in names:
        if name == "headpose":
            found[name] = {
                "pitch_angle": None,
                "roll_angle": round(seen.roll, 3) if seen else None,
                "yaw_angle": round(seen.yaw, 3) if seen else None,
            }
        elif name == "facequality":
            found[name] = {"value": round(100 * face.quality, 3), "threshold": HALF}
        elif name == "blur":
            blur = round(100 * (1 - min(1.0, seen.sharpness / FULL_SHARPNESS)), 3) if seen else None
            unmeasured = _unknown("value", "threshold")
            found[name] = {
                "blurness": {"value": blur, "threshold": HALF},
                "motionblur": unmeasured,
                "gaussianblur": unmeasured,
            }
        else:
            found.update(UNMEASURED[name])
    return found
