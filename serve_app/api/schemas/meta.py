"""What the service says of itself."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field

from serve_app.api.schemas.base import Answer


class LimitsView(Answer):
    """What one request may bring."""

    max_image_bytes: int
    max_image_pixels: int
    min_image_side: int
    max_body_bytes: int
    max_images_per_request: int
    max_faces_per_image: int
    max_results: int


class InfoAnswer(Answer):
    """Versions, models and thresholds of the running service."""

    model_config = ConfigDict(extra="allow")

    limits: LimitsView
    image_formats: list[str] = Field(examples=[["JPEG", "PNG", "WEBP", "BMP"]])
    image_urls: bool = Field(description="Whether pictures may be given by URL.")
    __pydantic_extra__: dict[str, Any]


class Health(Answer):
    """The process answers."""

    status: str = Field(examples=["ok"])


class Ready(Answer):
    """Every stage can serve."""

    status: str = Field(examples=["ready"])
    stages: dict[str, str] = Field(examples=[{"detector": "ready", "matcher": "ready"}])
