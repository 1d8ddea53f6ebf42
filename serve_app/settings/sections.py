"""The parts of the settings that belong to no single stage; see :mod:`serve_app.settings`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator


class Section(BaseModel):
    """A branch of the tree."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Autoscaling(Section):
    """Ray Serve autoscaling of one stage (see its autoscaling guide for the meaning of each)."""

    min_replicas: int = Field(1, ge=0)
    max_replicas: int = Field(1, ge=1)
    target_ongoing_requests: float = Field(2.0, gt=0)
    upscale_delay_s: float = Field(5.0, ge=0)
    downscale_delay_s: float = Field(60.0, ge=0)
    downscale_to_zero_delay_s: float | None = Field(None, ge=0)
    look_back_period_s: float = Field(15.0, gt=0)

    @model_validator(mode="after")
    def _bounds(self) -> Autoscaling:
        if self.max_replicas < self.min_replicas:
            raise ValueError(f"max_replicas ({self.max_replicas}) is below min_replicas ({self.min_replicas})")
        return self


class ServeOptions(Section):
    """How Ray Serve runs one stage. Queues are always bounded; a full one answers 429 with Retry-After.

    Attributes:
        graceful_shutdown_timeout_s: what a replica that is replaced gets to finish its requests.
        max_surge_percent: replicas, in percent and rounded up, that may run beyond the target while an update replaces
            old ones: new ones start before old ones stop. Of stages with embedded stores one replica runs at any time.
    """

    autoscaling: Autoscaling = Autoscaling()
    num_cpus: float = Field(0.1, ge=0)
    num_gpus: float = Field(0.0, ge=0)
    max_ongoing_requests: int = Field(32, ge=1)
    max_queued_requests: int = Field(128, ge=1)
    retry_after_s: int = Field(1, ge=1)
    health_check_period_s: float = Field(10.0, gt=0)
    health_check_timeout_s: float = Field(30.0, gt=0)
    graceful_shutdown_timeout_s: float = Field(10.0, ge=0)
    max_surge_percent: int = Field(25, ge=0, le=100)

    @property
    def calls_at_full_size(self) -> int:
        """Calls under way for which as many replicas are wanted as there may be."""
        return math.ceil(self.autoscaling.max_replicas * self.autoscaling.target_ongoing_requests)

    @model_validator(mode="after")
    def _target(self) -> ServeOptions:
        target = self.autoscaling.target_ongoing_requests
        if target >= self.max_ongoing_requests and self.autoscaling.max_replicas > 1:
            raise ValueError(
                f"target_ongoing_requests ({target}) must be below max_ongoing_requests "
                f"({self.max_ongoing_requests}), or the stage never scales up"
            )
        return self


class StorageSettings(Section):
    """Where things persist; each empty value means a place inside ``data_dir``.

    Attributes:
        database_url: SQLAlchemy URL; ``postgresql+psycopg://...`` or ``sqlite:///...``.
        milvus_uri: ``http(s)://host:port`` of a Milvus server, or a path ending in ``.db`` for milvus-lite.
        milvus_token: ``user:password`` or an API key of that server.
        blobs_url: any fsspec URL.
        timeout_s: seconds after which a call to the index counts as failed.
        encryption_key: 32 bytes as base64, or several of them with commas: templates and images are encrypted with
            the first one.
        encryption_key_file: a file with such keys, one a line.
    """

    database_url: str = ""
    milvus_uri: str = ""
    milvus_token: SecretStr = SecretStr("")
    blobs_url: str = ""
    timeout_s: float = Field(20.0, gt=0)
    encryption_key: SecretStr = SecretStr("")
    encryption_key_file: Path | None = None


class Limits(Section):
    """What one request may bring."""

    max_image_bytes: int = Field(16 * 2**20, ge=1024)
    max_image_pixels: int = Field(40_000_000, ge=10_000)
    min_image_side: int = Field(16, ge=1)
    max_body_bytes: int = Field(64 * 2**20, ge=1024)
    max_images_per_request: int = Field(20, ge=1)
    max_persons_per_request: int = Field(100, ge=1)
    max_bulk_pictures: int = Field(5000, ge=1)
    max_faces_per_image: int = Field(100, ge=1)
    max_results: int = Field(500, ge=1)


class ImageUrls(Section):
    """Fetching pictures by ``image_url``.

    Attributes:
        allowed_hosts: names of hosts, ``.example.org`` for all below it; empty allows every public one.
    """

    enabled: bool = True
    allowed_hosts: tuple[str, ...] = ()
    timeout_s: float = Field(5.0, gt=0)
    max_redirects: int = Field(3, ge=0)


class AuditSettings(Section):
    """The log of who searched for, enrolled and erased what."""

    keep_days: float = Field(365.0, gt=0, le=36_500)
    allow_untraced: bool = True  # whether a search may ask not to be recorded


class TracingSettings(Section):
    """Traces of requests through the stages, with OpenTelemetry.

    Attributes:
        exporter: ``otlp`` sends them to a collector, which OpenTelemetry's own variables name
            (``OTEL_EXPORTER_OTLP_ENDPOINT``); ``file`` writes them to ``data_dir/traces``.
        sample_ratio: share of the requests that are recorded, of those whose client has not decided it already.
    """

    exporter: Literal["none", "otlp", "file"] = "none"
    sample_ratio: float = Field(1.0, gt=0, le=1)
