"""What a request needs to be answered: one :class:`ApiContext` per replica."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from typing import Annotated, Any, Protocol

from fastapi import Depends, Request

from serve_app.api.concurrency_limit import ConcurrencyLimit
from serve_app.api.image_url import ImageFetcher
from serve_app.api.rate_limit import RateLimiter
from serve_app.domain import ApiKey, CollectionPolicy, ImageStorage, Role
from serve_app.errors import Unavailable
from serve_app.observability.recent_statistics import RecentStatistics
from serve_app.service import FaceService
from serve_app.settings import Settings


class KeyStore(Protocol):
    """API keys. Synchronous, and it may talk to a database: call it from the thread pool."""

    def create(
        self, tenant: str, name: str, role: Role, expires: dt.datetime | None = None, rate_limit: float | None = None
    ) -> tuple[ApiKey, str]:
        """A new key and its secret, which cannot be had again."""
        ...

    def authenticate(self, secret: str) -> ApiKey:
        """The key with this secret. Raises KeyInvalid: unknown, revoked or expired."""
        ...

    def authenticate_pair(self, key_id: str, secret: str) -> ApiKey:
        """The key with this id and this secret. Raises KeyInvalid: unknown, revoked or expired, or another key's id."""
        ...

    def list(self, tenant: str) -> Sequence[ApiKey]:
        """The keys of a tenant that are not revoked."""
        ...

    def revoke(self, tenant: str, key_id: str) -> None:
        """The key stops working. Raises KeyNotFound."""
        ...

    def close(self) -> None:
        """Release what it holds."""
        ...


ReplicaStates = Callable[[], Mapping[str, Mapping[str, int]]]
"""Replicas of each deployment by their state: ``{"Detector": {"RUNNING": 2}}``."""


@dataclass
class ApiContext:
    """The parts behind the HTTP layer.

    Attributes:
        service: every operation on pictures and the gallery.
        keys: API keys.
        settings: without secrets.
        info: static, JSON-ready facts for ``GET /v1/info``: versions, models, thresholds.
        fetcher: what to download pictures with, instead of the usual.
        by_url: downloads pictures given by ``image_url``.
        shares: the requests at the same time of each key, counted in this replica.
        windows: recent calls of each stage, by its name.
        replicas: tells how many replicas each deployment has; None where there is no Ray Serve. Blocking.
        rates: the rate limits of the keys that have one, kept in this replica.
    """

    service: FaceService
    keys: KeyStore
    settings: Settings
    info: Mapping[str, Any]
    fetcher: InitVar[ImageFetcher | None] = None
    by_url: ImageFetcher = field(init=False)
    concurrency: ConcurrencyLimit = field(init=False)
    statistics: Mapping[str, RecentStatistics] = field(default_factory=dict)
    replicas: ReplicaStates | None = None
    rates: RateLimiter = field(default_factory=RateLimiter)

    def __post_init__(self, fetcher: ImageFetcher | None) -> None:
        self.concurrency = ConcurrencyLimit(self.settings.ingress.max_in_flight_per_key)
        self.by_url = fetcher or ImageFetcher(self.settings.image_urls, self.settings.limits.max_image_bytes)

    @property
    def default_policy(self) -> CollectionPolicy:
        """Of a new collection whose creator says nothing of it."""
        return CollectionPolicy(
            liveness_threshold=self.settings.liveness.threshold,
            image_storage=ImageStorage(self.settings.matcher.default_image_storage),
        )


ContextGetter = Callable[[], ApiContext | None]
"""Gives the replica's context; None before it has started."""


async def current_context(request: Request) -> ApiContext:
    """The context of the running replica, as a dependency.

    Raises:
        Unavailable: the replica has not started yet.
    """
    get_context: ContextGetter = request.app.state.get_context
    context = get_context()
    if context is None:
        raise Unavailable("The service is starting; try again in a moment.", retry_after_s=1)
    return context


Context = Annotated[ApiContext, Depends(current_context)]
