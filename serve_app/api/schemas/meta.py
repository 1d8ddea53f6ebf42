"""Responses about the service: info, health, status, and the embedder."""

from __future__ import annotations

import dataclasses
from typing import Any

from pydantic import ConfigDict, Field

from serve_app.api.schemas.base import Answer, View
from serve_app.api.schemas.keys import KeyView
from serve_app.domain import ChangeState
from serve_app.observability.recent_statistics import RecentStatistics


class LimitsView(Answer):
    """Limits of one request."""

    max_image_bytes: int
    max_image_pixels: int
    min_image_side: int
    max_body_bytes: int
    max_images_per_request: int
    max_bulk_pictures: int
    max_faces_per_image: int
    max_results: int


class InfoAnswer(Answer):
    """Versions, models and thresholds of the running service."""

    model_config = ConfigDict(extra="allow")

    key: KeyView = Field(description="The key of the request.")
    limits: LimitsView
    image_formats: list[str] = Field(examples=[["JPEG", "PNG", "WEBP", "BMP"]])
    image_urls: bool = Field(description="Whether images can be sent by URL.")
    __pydantic_extra__: dict[str, Any]


class Health(Answer):
    """The process answers."""

    status: str = Field(examples=["ok"])


class Ready(Answer):
    """Every stage can serve."""

    status: str = Field(examples=["ready"])
    stages: dict[str, str] = Field(examples=[{"detector": "ready", "matcher": "ready"}])


class TrafficView(Answer):
    """Requests or calls in the window."""

    in_flight: int = Field(description="In progress now, including waiting ones.", examples=[3])
    calls: int = Field(description="Ended in the window.", examples=[1200])
    refused: int = Field(description="Of `calls`: refused with 429.", examples=[0])
    failed: int = Field(description="Of `calls`: ended with an error of the service (5xx).", examples=[0])
    median_ms: float | None = Field(
        description="Duration of the others, with queues; null without any.", examples=[21.5]
    )
    p99_ms: float | None = Field(examples=[48.0])
    per_second: float = Field(examples=[20.0])

    @classmethod
    def of(cls, statistics: RecentStatistics) -> TrafficView:
        """Build from the statistics."""
        return cls(**cls.fields_of(statistics))

    @classmethod
    def fields_of(cls, statistics: RecentStatistics) -> dict[str, Any]:
        """The values of the fields, rounded."""
        fields = dataclasses.asdict(statistics.figures())
        return {name: round(value, 3) if isinstance(value, float) else value for name, value in fields.items()}


class StageView(TrafficView):
    """A stage of the graph."""

    name: str = Field(examples=["detector"])
    ready: bool
    message: str = Field(description="Why the stage is not ready; empty if it is.")
    replicas: dict[str, int] | None = Field(
        description="Number of replicas by state; null: the stage runs inside the ingress.", examples=[{"RUNNING": 2}]
    )
    waiting: int | None = Field(description="Faces in the replica's queue, if it has one.", examples=[0])


class WarningView(Answer):
    """A condition that does not stop the service and needs attention."""

    code: str = Field(
        description="`index_outgrown`, `index_moving`, `index_moved`, `index_differed` or `clock_doubted`.",
        examples=["index_outgrown"],
    )
    message: str = Field(examples=["The gallery has 250,000 faces, more than milvus-lite is meant for"])


class StatusAnswer(Answer):
    """The running graph, as seen by the ingress replica that answers."""

    topology: str = Field(examples=["single"])
    topology_reason: str = Field(examples=["auto: 2 processors, fewer than 4"])
    window_s: float = Field(description="Length of the window in seconds.", examples=[60.0])
    ingress_replicas: dict[str, int] | None = Field(description="Null without Ray Serve.", examples=[{"RUNNING": 1}])
    requests: TrafficView
    stages: list[StageView]
    warnings: list[WarningView]


class EmbedderView(View):
    """The embedder and its change; counts are those of the caller's tenant."""

    state: ChangeState = Field(
        description="none: no change. embedding: the target embeds the stored crops. waiting: only faces without a "
        "stored crop are left. finishing: searches use the new model, the old templates are being deleted.",
        examples=["embedding"],
    )
    active: str = Field(description="The model that searches use.", examples=["sface-2021dec"])
    target: str | None = Field(description="The model to change to; null without a change.", examples=["fr-feature"])
    faces: int = Field(description="Number of faces.", examples=[1200])
    done: int = Field(description="Faces with a template of the target, or else of the active model.", examples=[900])
    without_image: int = Field(
        description="Faces without a template and without a stored crop: enrol these persons again.", examples=[3]
    )


class LeftBehindView(View):
    """A person or face that cannot be embedded again because no crop is stored."""

    person_id: str | None = Field(description="null: an unassigned face.", examples=["ada"])
    face_ids: list[str] = Field(description="The faces without a template.", examples=[["0" * 32]])
    remaining: int = Field(description="The person's other faces; 0: not found after the change.", examples=[0])


class LeftBehindPage(Answer):
    """A page; `cursor` fetches the next one."""

    left_behind: list[LeftBehindView]
    cursor: str | None
