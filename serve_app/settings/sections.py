"""Settings sections that are not specific to one stage; see :mod:`serve_app.settings`."""

from __future__ import annotations

import math
import re
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator


class Section(BaseModel):
    """Base of all sections: unknown keys are refused, values cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Autoscaling(Section):
    """Ray Serve autoscaling of one stage; Ray Serve's autoscaling guide describes each value."""

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
    """Ray Serve options of one stage. Queues are always bounded; a full one answers 429 with Retry-After.

    Attributes:
        graceful_shutdown_timeout_s: seconds that a replaced replica gets to finish its requests.
        max_surge_percent: additional replicas, in percent of the target and rounded up, while an update replaces old
            ones: new ones start before old ones stop. Stages with embedded stores never run more than one replica.
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
        """Number of ongoing calls at which autoscaling asks for ``max_replicas``."""
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
    """Locations of the stores; an empty value means a location inside ``data_dir``.

    Attributes:
        database_url: SQLAlchemy URL of the records: ``postgresql+psycopg://...`` or ``sqlite:///...``.
        milvus_uri: ``http(s)://host:port`` of a Milvus server, or a path ending in ``.db`` for milvus-lite.
        milvus_token: ``user:password`` or an API key of the Milvus server.
        blobs_url: fsspec URL of the images store.
        timeout_s: seconds after which a call to the index counts as failed.
        encryption_key: a key of 32 bytes as base64, or several separated by commas; templates and images are encrypted
            with the first one.
        encryption_key_file: a file with such keys, one per line.
    """

    database_url: str = ""
    milvus_uri: str = ""
    milvus_token: SecretStr = SecretStr("")
    blobs_url: str = ""
    timeout_s: float = Field(20.0, gt=0)
    encryption_key: SecretStr = SecretStr("")
    encryption_key_file: Path | None = None


MOST_IN_A_REQUEST = 1000
"""Images or persons that a request may bring, whatever the settings say: the bound of the schemas' lists."""


class Limits(Section):
    """Limits on the contents and the results of one request."""

    max_image_bytes: int = Field(16 * 2**20, ge=1024)
    max_image_pixels: int = Field(40_000_000, ge=10_000)
    min_image_side: int = Field(16, ge=1)
    max_body_bytes: int = Field(64 * 2**20, ge=1024)
    max_images_per_request: int = Field(20, ge=1, le=MOST_IN_A_REQUEST)
    max_persons_per_request: int = Field(100, ge=1, le=MOST_IN_A_REQUEST)
    max_bulk_pictures: int = Field(5000, ge=1)
    max_faces_per_image: int = Field(100, ge=1)
    max_results: int = Field(500, ge=1)


HOST = re.compile(r"\.?[\w-]+(\.[\w-]+)*|[\da-f.]*:[\da-f:.]+", re.ASCII | re.IGNORECASE)
"""A host as the URL of an image gives it, or all hosts below one."""


class ImageUrls(Section):
    """Fetching of images by ``image_url``.

    Attributes:
        allowed_hosts: host names; ``.example.org`` stands for all hosts below it. Empty allows every public host.
        refused_networks: further networks that images are not fetched from, as ``192.0.2.0/24``. Addresses that are not
            public and those of the machine's interfaces are always refused.
    """

    enabled: bool = True
    allowed_hosts: tuple[str, ...] = ()
    refused_networks: tuple[IPv4Network | IPv6Network, ...] = Field((), max_length=1000)
    timeout_s: float = Field(5.0, gt=0)
    max_redirects: int = Field(3, ge=0)

    @field_validator("allowed_hosts")
    @classmethod
    def _are_hosts(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for host in hosts:
            if not HOST.fullmatch(host):
                raise ValueError(
                    f"{host!r} can be no host of a URL: expected a name in ASCII without scheme, port and path, such "
                    "as images.example.org, or .example.org for all hosts below it"
                )
        return hosts


class AuditSettings(Section):
    """The audit log of searches, enrolments and erasures."""

    keep_days: float = Field(365.0, gt=0, le=36_500)
    allow_untraced: bool = True  # whether a search may ask not to be recorded


class TracingSettings(Section):
    """OpenTelemetry traces of requests through the stages.

    Attributes:
        exporter: ``otlp`` sends traces to the collector in OpenTelemetry's own environment variables
            (``OTEL_EXPORTER_OTLP_ENDPOINT``); ``file`` writes them to ``data_dir/traces``.
        sample_ratio: share of requests that are recorded, unless the client's trace context decides it.
    """

    exporter: Literal["none", "otlp", "file"] = "none"
    sample_ratio: float = Field(1.0, gt=0, le=1)
