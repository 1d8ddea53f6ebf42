"""The tree of settings.

Settings are read once at start and passed down; no other code reads the environment for them. Sources, strongest first:
environment variables (prefix ``FACEGRAPH_``, ``__`` between levels, as in ``FACEGRAPH_EMBEDDER__MAX_BATCH=16``), the
``args`` of the application in a Serve configuration file, the defaults here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import PrivateAttr, SecretStr, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from serve_app.processors import cpu_count
from serve_app.settings import stages
from serve_app.settings.sections import AuditSettings, ImageUrls, Limits, StorageSettings, TracingSettings
from serve_app.settings.topology import Topology, chosen_topology

PREFIX = "FACEGRAPH_"
"""Prefix of the environment variables."""


class Settings(BaseSettings):
    """All settings of the service.

    Attributes:
        data_dir: folder of all stores, except those that ``storage`` locates elsewhere.
        model_dir: folder that is searched first for model files.
        model_cache_dir: folder of downloaded and prepared models; None takes the user's cache folder.
        api_key: the admin key to install at start; never passed on to a deployment.
        topology: which stages share a process; ``auto`` is replaced by the chosen one when the settings are loaded.
        dialects: names of the vendors' wire formats to serve beside the native API; ``all`` stands for every one.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True, protected_namespaces=()
    )

    data_dir: Path = Path("data")
    model_dir: Path | None = None
    model_cache_dir: Path | None = None
    api_key: SecretStr | None = None
    topology: Topology = Topology.AUTO
    dialects: tuple[str, ...] = ("all",)
    ingress: stages.IngressSettings = stages.IngressSettings()
    detector: stages.DetectorSettings = stages.DetectorSettings()
    liveness: stages.LivenessSettings = stages.LivenessSettings()
    embedder: stages.EmbedderSettings = stages.EmbedderSettings()
    matcher: stages.MatcherSettings = stages.MatcherSettings()
    storage: StorageSettings = StorageSettings()
    limits: Limits = Limits()
    image_urls: ImageUrls = ImageUrls()
    audit: AuditSettings = AuditSettings()
    tracing: TracingSettings = TracingSettings()
    _configured_topology: Topology = PrivateAttr(Topology.AUTO)
    _topology_reason: str = PrivateAttr("")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment over file, so that an operator can change one value of a shipped configuration."""
        return env_settings, init_settings

    @model_validator(mode="before")
    @classmethod
    def _without_blanks_at_the_ends(cls, values: Any) -> Any:
        return _stripped(values)  # a secret written by `echo` ends in a line break, which no client can send

    @field_validator("data_dir", "model_dir", "model_cache_dir", mode="before")
    @classmethod
    def _no_empty_path(cls, path: Any, info: ValidationInfo) -> Any:
        if path != "":  # an empty path would be the working directory
            return path
        if info.field_name == "data_dir":
            raise ValueError("the path of a folder was expected, got an empty text")
        return None

    @field_validator("data_dir", "model_dir", "model_cache_dir")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        # Ray workers run in other folders, so relative paths are resolved here, once.
        return path.expanduser().resolve() if path is not None else None

    @field_validator("api_key")
    @classmethod
    def _sendable_key(cls, key: SecretStr | None) -> SecretStr | None:
        secret = key.get_secret_value().strip() if key is not None else ""  # one in a file often ends in a line break
        if not secret.isprintable():
            raise ValueError("an API key cannot contain a line break or another control character")
        return SecretStr(secret) if secret else None

    @model_validator(mode="after")
    def _choose_topology(self) -> Settings:
        self._configured_topology = self.topology
        chosen, reason = chosen_topology(self.topology, cpu_count(), self.ingress.serve.autoscaling.max_replicas)
        self.__dict__["topology"], self._topology_reason = chosen, reason  # bypasses the frozen model
        return self

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        matchers, ingresses = (stage.serve.autoscaling.max_replicas for stage in (self.matcher, self.ingress))
        if self.embedded_index and matchers > 1:
            raise ValueError(
                f"matcher.serve.autoscaling.max_replicas is {matchers}, but the vector index is a milvus-lite file, "
                "which one process can open: set it to 1, or set storage.milvus_uri to a Milvus server"
            )
        if self.embedded_database and matchers > 1:
            raise ValueError(
                f"matcher.serve.autoscaling.max_replicas is {matchers}, but the records are in SQLite: "
                "set it to 1, or set storage.database_url to a PostgreSQL URL"
            )
        if self.topology is Topology.SINGLE and ingresses > 1:
            raise ValueError(
                f"ingress.serve.autoscaling.max_replicas is {ingresses}, but topology 'single' is one process with the "
                "matcher in it: set it to 1, or choose topology 'compact' or 'distributed'"
            )
        for name in ("ingress", "detector", "embedder", "matcher"):
            if getattr(self, name).serve.autoscaling.min_replicas == 0:
                raise ValueError(
                    f"{name}.serve.autoscaling.min_replicas is 0, but only the liveness scorer may scale to zero"
                )
        if self.ingress.own_port and ingresses > 1:
            raise ValueError(
                f"ingress.own_port needs one ingress replica, but ingress.serve.autoscaling.max_replicas is {ingresses}"
            )
        return self

    @property
    def database_url(self) -> str:
        """SQLAlchemy URL of the records."""
        return self.storage.database_url or f"sqlite:///{self.data_dir / 'records.db'}"

    @property
    def database_file(self) -> Path:
        """Path of the SQLite file; only with :attr:`embedded_database`."""
        return Path(self.database_url.partition(":///")[2].partition("?")[0])

    @property
    def milvus_uri(self) -> str:
        """URI of the Milvus server, or path of the milvus-lite file."""
        return self.storage.milvus_uri or str(self.data_dir / "index.db")

    @property
    def blobs_url(self) -> str:
        """fsspec URL of the images store."""
        return self.storage.blobs_url or f"file://{self.data_dir / 'blobs'}"

    @property
    def traces_dir(self) -> Path:
        """Folder of the traces that are written to files."""
        return self.data_dir / "traces"

    @property
    def embedded_index(self) -> bool:
        """Whether the vector index is a milvus-lite file."""
        return not self.milvus_uri.startswith(("http://", "https://", "tcp://", "grpc://"))

    @property
    def embedded_database(self) -> bool:
        """Whether the records are in SQLite."""
        return self.database_url.startswith("sqlite")

    @property
    def embedded_store(self) -> bool:
        """Whether one of the stores allows one service only."""
        return self.embedded_index or self.embedded_database

    @property
    def topology_reason(self) -> str:
        """The reason for the choice of :attr:`topology`."""
        return self._topology_reason

    def as_arguments(self) -> dict[str, Any]:
        """Values from which :func:`~.loading.load_settings` makes the same settings, without the admin key.

        They cannot be serialised as JSON: secrets stay ``SecretStr`` objects, which would be written as asterisks.
        """
        return {**self.model_dump(exclude={"api_key"}), "topology": self._configured_topology}

    def without_secrets(self) -> Settings:
        """A copy without the admin key, for deployments."""
        return self.model_copy(update={"api_key": None})


def _stripped(value: Any) -> Any:
    """The value with the blanks and line breaks at the ends of all texts in it removed."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, dict):
        return {name: _stripped(inner) for name, inner in value.items()}
    return [_stripped(item) for item in value] if isinstance(value, list) else value
