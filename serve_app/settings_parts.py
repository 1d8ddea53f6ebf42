"""The parts of the settings that belong to no stage; see :mod:`serve_app.settings`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class Section(BaseModel):
    """A branch of the tree."""

    model_config = ConfigDict(extra="forbid", frozen=True)


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
