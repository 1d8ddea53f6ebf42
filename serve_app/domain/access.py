"""Tenants, roles and API keys."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum

DEFAULT_TENANT = "0" * 32
"""Id of the tenant that exists from the start."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """One of several users of an installation, which share no data with each other."""

    id: str
    name: str
    created: dt.datetime


class Role(StrEnum):
    """What an API key may do; each role includes the ones before it."""

    SEARCH = "search"
    ENROLL = "enroll"
    ADMIN = "admin"

    def allows(self, needed: Role) -> bool:
        """Whether a key with this role may call an operation that needs the role ``needed``."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key without its secret. The secret is shown once and stored only as a SHA-256 digest."""

    id: str
    tenant_id: str
    name: str
    role: Role
    created: dt.datetime
    expires: dt.datetime | None = None
    rate_limit: float | None = None  # requests per second
    last_used: dt.datetime | None = None
