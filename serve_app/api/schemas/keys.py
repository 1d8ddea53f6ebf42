"""API keys: bodies that create them, and responses."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

from pydantic import Field

from serve_app.api.schemas.base import Answer, Body, Plain, Time, View
from serve_app.domain import ApiKey, Role


class KeyBody(Body):
    """A new key."""

    name: Annotated[str, Field(min_length=1, max_length=200, examples=["door camera"]), Plain]
    role: Role
    expires: Time | None = Field(
        None, description="Time with a time zone; null: never.", examples=["2030-01-01T00:00:00Z"]
    )
    rate_limit: float | None = Field(
        None, gt=0, le=1e6, description="Requests per second and per ingress replica; null: unlimited.", examples=[20]
    )


class KeyView(View):
    """A key without its secret."""

    id: str
    name: str = Field(examples=["door camera"])
    role: Role
    created: dt.datetime
    expires: dt.datetime | None
    rate_limit: float | None
    last_used: dt.datetime | None


class NewKey(KeyView):
    """A key that was just created."""

    secret: str = Field(description="The value for X-API-Key. It is returned only here; only its digest is stored.")

    @classmethod
    def with_secret(cls, key: ApiKey, secret: str) -> NewKey:
        """Build from the key and its secret."""
        return cls(**dict(KeyView.of(key)), secret=secret)


class KeyList(Answer):
    """The keys of a tenant."""

    keys: list[KeyView]


class KeyRevoked(Answer):
    """The key no longer works."""

    id: str
    deleted: bool
