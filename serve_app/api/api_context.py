"""Dependencies of the request handlers: one :class:`ApiContext` per replica."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import InitVar, dataclass, field
from typing import Annotated, Any, Protocol

from fastapi import Depends, Request

from serve_app.api.image_url import ImageFetcher
from serve_app.api.key_limits import RateLimiter
from serve_app.api.request_limits import Bounds, bounds_of
from serve_app.domain import ApiKey, CollectionPolicy, ImageStorage, Role
from serve_app.errors import Unavailable
from serve_app.observability.recent_statistics import RecentStatistics
from serve_app.service import FaceService
from serve_app.settings import Settings

UPLOADS = 2
"""Uploads that are read at the same time; the others wait."""


class KeyStore(Protocol):
    """Storage of API keys. Its methods block and can query a database: call them from the thread pool."""

    def create(
        self, tenant: str, name: str, role: Role, expires: dt.datetime | None = None, rate_limit: float | None = None
    ) -> tuple[ApiKey, str]:
        """Create a key; returns it with its secret, which cannot be read again."""

    def authenticate(self, secret: str) -> ApiKey:
        """The key with this secret. Raises KeyInvalid if it is unknown, revoked or expired."""

    def authenticate_pair(self, key_id: str, secret: str) -> ApiKey:
        """The key with this secret. Raises KeyInvalid if it is unknown, revoked or expired, or has another id."""

    def list(self, tenant: str) -> Sequence[ApiKey]:
        """The tenant's keys that are not revoked."""

    def revoke(self, tenant: str, key_id: str) -> None:
        """Revoke a key. Raises KeyNotFound."""

    def close(self) -> None:
        """Release connections and files."""


ReplicaStates = Callable[[], Mapping[str, Mapping[str, int]]]
"""Number of replicas by deployment and state: ``{"Detector": {"RUNNING": 2}}``."""


@dataclass
class ApiContext:
    """The objects behind the HTTP layer.

    Attributes:
        settings: without secrets.
        info: static, JSON-ready facts for ``GET /v1/info``: versions, models, thresholds.
        fetcher: replaces the default downloader of images.
        by_url: downloads images given by ``image_url``.
        bounds: limits of requests, by the settings.
        statistics: recent calls of each stage, by the stage's name.
        replicas: returns the number of replicas of each deployment; None without Ray Serve. Blocks.
        upload_pool: threads that read uploads of many persons, so that these keep no other request from a thread.
    """

    service: FaceService
    keys: KeyStore
    settings: Settings
    info: Mapping[str, Any]
    fetcher: InitVar[ImageFetcher | None] = None
    by_url: ImageFetcher = field(init=False)
    bounds: Bounds = field(init=False)
    statistics: Mapping[str, RecentStatistics] = field(default_factory=dict)
    replicas: ReplicaStates | None = None
    rates: RateLimiter = field(default_factory=RateLimiter)
    upload_pool: Executor = field(default_factory=lambda: ThreadPoolExecutor(UPLOADS, thread_name_prefix="upload"))

    def __post_init__(self, fetcher: ImageFetcher | None) -> None:
        self.bounds = bounds_of(self.settings)
        self.by_url = fetcher or ImageFetcher(self.settings.image_urls, self.settings.limits.max_image_bytes)

    @property
    def default_policy(self) -> CollectionPolicy:
        """The policy of a new collection, where the request does not set it."""
        return CollectionPolicy(
            liveness_threshold=self.settings.liveness.threshold,
            image_storage=ImageStorage(self.settings.matcher.default_image_storage),
        )


ContextGetter = Callable[[], ApiContext | None]
"""Returns the replica's context; None before the replica has started."""


async def current_context(request: Request) -> ApiContext:
    """Dependency: the context of this replica. Raises Unavailable until the replica has started."""
    context: ApiContext | None = request.app.state.get_context()
    if context is None:
        raise Unavailable("The service is starting; try again in a moment.", retry_after_s=1)
    return context


Context = Annotated[ApiContext, Depends(current_context)]
