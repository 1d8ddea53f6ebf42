"""Requests to the OpenCV FR Server's dialect, and its published error rows."""

from __future__ import annotations

import base64
from typing import Any

import cv2
import httpx2 as httpx
import numpy as np

from tests.api.conftest import World, b64
from tests.fakes.stages import FakeFace, fake_picture

TEXTS = {
    "ERR_FACE_NOT_DETECTED": (400, "A face could not be detected in the image(s)."),
    "ERR_INVALID_COLLECTION_NAME": (
        400,
        "Collection names can only contain alphanumeric characters, underscores, hyphens, and periods.",
    ),
    "ERR_API_KEY_NOT_PRESENT": (401, "The API key is missing from the request."),
    "ERR_API_KEY_NOT_VALID": (403, "The API key is not valid."),
    "ERR_NOT_FOUND": (404, "The requested entity could not be found."),
    "ERR_ALREADY_EXISTS": (409, "Another entity already exists with the same ID."),
    "ERR_LIVENESS_ERROR": (
        412,
        "A liveness error occurred. Please check the supplied image and the error metadata.",
    ),
    "ERR_BASE64_IMAGE_CANNOT_BE_DECODED": (
        422,
        "The posted Base64 image(s) could not be decoded as JPEG/PNG bytes.",
    ),
    "ERR_DATABASE_ERROR": (
        503,
        "An error occurred while connecting with the database, please retry your request later.",
    ),
}
"""The published rows, typed off the page, not imported."""

ADA = b64(fake_picture("ada"))
NOBODY = b64(fake_picture())


def picture(*faces: FakeFace | str) -> str:
    return b64(fake_picture(*faces))


def is_row(answer: httpx.Response, code: str, metadata: dict[str, str] | None = None) -> None:
    """The answer is this published row, and nothing else."""
    status, message = TEXTS[code]
    expected: dict[str, Any] = {"code": code, "message": message}
    if metadata is not None:
        expected["metadata"] = metadata
    assert (answer.status_code, answer.json()) == (status, expected)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"]


def put(world: World, who: str, *faces: FakeFace | str, **fields: Any) -> httpx.Response:
    body = {
        "person_id": who,
        "person_name": who.title(),
        "collection_name": "staff",
        "face_base_64": picture(*(faces or (who,))),
        "face_storage_type": "StoreThumbnails",
        **fields,
    }
    return world.call("PUT", "/person", json=body)


def search(world: World, face: str, headers: dict[str, str] | None = None, **fields: Any) -> httpx.Response:
    body = {"collection_name": "staff", "face_base_64": face, **fields}
    return world.call("POST", "/face-search", headers, json=body)


def search_many(world: World, face: str, **fields: Any) -> httpx.Response:
    return world.call(
        "POST", "/multi-face-search", json={"collection_name": "staff", "multi_face_img_base_64": face, **fields}
    )


def is_thumbnail(text: str) -> bool:
    pixels = cv2.imdecode(np.frombuffer(base64.b64decode(text, validate=True), np.uint8), cv2.IMREAD_COLOR)
    return pixels is not None and pixels.shape == (112, 112, 3)


def bulk(world: World, persons: list[Any], **fields: Any) -> httpx.Response:
    body = {"collection_name": "staff", "face_storage_type": "StoreThumbnails", "persons": persons, **fields}
    return world.call("PUT", "/persons", world.enroll, json=body)


def item(person_id: str, *faces: FakeFace | str, **fields: Any) -> dict[str, Any]:
    shown = picture(*(faces or (person_id,)))
    return {"person_id": person_id, "person_name": person_id.title(), "face_base_64": shown, **fields}
