"""An in-memory store of API keys, for tests of the HTTP layer."""

from __future__ import annotations

import datetime as dt
import secrets
import uuid
from collections.abc import Sequence

from serve_app.domain import ApiKey, Role
from serve_app.errors import KeyInvalid, KeyNotFound


class FakeKeyStore:
    """Implements :class:`~serve_app.api.api_context.KeyStore`."""

    def __init__(self) -> None:
        self._keys: dict[str, ApiKey] = {}  # by secret

    def create(
        self, tenant: str, name: str, role: Role, expires: dt.datetime | None = None, rate_limit: float | None = None
    ) -> tuple[ApiKey, str]:
        """Create a key; returns it with its secret."""
        secret = secrets.token_urlsafe(24)
        key = ApiKey(uuid.uuid4().hex, tenant, name, role, dt.datetime.now(dt.UTC), expires, rate_limit)
        self._keys[secret] = key
        return key, secret

    def authenticate(self, secret: str) -> ApiKey:
        """The key with this secret, unless it has expired."""
        key = self._keys.get(secret)
        if key is None or (key.expires is not None and key.expires <= dt.datetime.now(dt.UTC)):
            raise KeyInvalid("The API key is unknown, revoked or expired.")
        return key

    def authenticate_pair(self, key_id: str, secret: str) -> ApiKey:
        """The key with this secret, if it has this id."""
        key = self.authenticate(secret)
        if key.id != key_id:
            raise KeyInvalid("The API key's id or secret is unknown.")
        return key

    def list(self, tenant: str) -> Sequence[ApiKey]:
        """All keys of the tenant."""
        return [key for key in self._keys.values() if key.tenant_id == tenant]

    def revoke(self, tenant: str, key_id: str) -> None:
        """Remove the key."""
        for secret, key in self._keys.items():
            if key.id == key_id and key.tenant_id == tenant:
                del self._keys[secret]
                return
        raise KeyNotFound(f"There is no API key {key_id!r}.", key_id=key_id)

    def close(self) -> None:
        """Does nothing."""
