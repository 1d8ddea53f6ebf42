"""Landmarks and attributes of faces, with Face++'s names."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from serve_app.domain import Face
from serve_app.vision.quality import FULL_SHARPNESS

HALF = 50.0
"""The ``threshold`` that the vendor's clients compare ``value`` with: the middle of a scale of 100."""

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
"""Face++'s "left" is the left of the image: its left eye is the person's right eye."""


def _unknown(*names: str) -> dict[str, None]:
    return dict.fromkeys(names)


UNMEASURED: dict[str, dict[str, Any]] = {
    "gender": {"gender": _unknown("value")},
    "age": {"age": _unknown("value")},
    "smiling": {"smile": _unknown("value", "threshold")},
    "eyestatus": {"eyestatus": {"left_eye_status": _unknown(*EYE), "right_eye_status": _unknown(*EYE)}},
    "emotion": {"emotion": _unknown("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")},
    "ethnicity": {"ethnicity": _unknown("value")},
    "beauty": {"beauty": _unknown("male_score", "female_score")},
    "mouthstatus": {"mouthstatus": _unknown("surgical_mask_or_respirator", "other_occlusion", "close", "open")},
    "eyegaze": {"eyegaze": {"left_eye_gaze": _unknown(*GAZE), "right_eye_gaze": _unknown(*GAZE)}},
    "skinstatus": {"skinstatus": _unknown("health", "stain", "acne", "dark_circle")},
}
"""Attributes that no model measures, with the vendor's keys, so that clients find them, and null values."""


def landmark_of(face: Face) -> dict[str, dict[str, int]]:
    """The five points by the vendor's names, in whole pixels; empty for a face that is stored without landmarks."""
    points = face.appearance.landmarks if face.appearance else ()
    return {name: {"x": round(x), "y": round(y)} for name, (x, y) in zip(LANDMARKS, points, strict=False)}


def attributes_of(face: Face, names: Collection[str]) -> dict[str, Any]:
    """The requested attributes; null where nothing measures them."""
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
