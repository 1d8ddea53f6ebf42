"""API keys: 256 random bits, shown once, stored as a SHA-256 digest.

A plain digest is sufficient because the secret is random and not chosen by a person, so it cannot be guessed. Nothing
is cached, so that creating and revoking a key takes effect immediately in all processes.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import logging
import math
import secrets
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import sqlalchemy as sa

from serve_app.domain import ApiKey, Role
from serve_app.errors import InvalidRequest, KeyInvalid, KeyNotFound, StoreUnavailable
from serve_app.gallery import checks
from serve_app.gallery.sql.database import Database
from serve_app.gallery.sql.records import audit_chain
from serve_app.gallery.sql.records.audit_chain import Draft
from serve_app.gallery.sql.records.statements import count, to_choice, to_value
from serve_app.gallery.sql.schema import api_keys

log = logging.getLogger(__name__)

PREFIX = "fg_"
SHORTEST_SECRET = 8
LAST_USED_PRECISION = dt.timedelta(minutes=1)
"""A key's ``last_used`` is not written again within this time."""

_LOOKUP = sa.select(api_keys).where(api_keys.c.digest == sa.bindparam("digest"))


class KeyStore:
    """The API keys of all tenants, in the gallery's database. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._background = ThreadPoolExecutor(1, thread_name_prefix="facegraph-keys")

    def create(
        self, tenant: str, name: str, role: Role, expires: dt.datetime | None = None, rate_limit: float | None = None
    ) -> tuple[ApiKey, str]:
        """Create a key; the key and its secret, which cannot be read again.

        ``expires`` is timezone-aware, in the future; None for never. ``rate_limit`` is over 0, in requests per second;
        None for no limit. Raises InvalidRequest.
        """
        checks.check_text("name", name, checks.LONGEST_KEY_NAME)
        if expires is not None and (expires.tzinfo is None or expires <= dt.datetime.now(dt.UTC)):
            raise InvalidRequest(f"expires must be a time in the future with its time zone, got {expires.isoformat()}.")
        if rate_limit is not None and not (math.isfinite(rate_limit) and rate_limit > 0):
            raise InvalidRequest(f"rate_limit must be over 0 requests per second, got {rate_limit}.")
        secret = PREFIX + secrets.token_urlsafe(32)

        def work(connection: sa.Connection) -> ApiKey:
            limits = {"expires": expires, "rate_limit": rate_limit}
            made = _insert(connection, tenant, name, role, secret, installed=False, **limits)
            details = {"key": made.id, "role": str(made.role)}
            audit_chain.append(connection, tenant, [Draft("create_key", details=details)])
            return made

        return self._database.transact(work), secret

    def install(self, tenant: str, name: str, role: Role, secret: str) -> ApiKey:
        """Make a given secret the tenant's installed key with this name, in place of an earlier one. Idempotent.

        Raises InvalidRequest: the secret is too short, or already belongs to another key.
        """
        checks.check_text("secret", secret, 1000)
        if len(secret) < SHORTEST_SECRET:
            raise InvalidRequest(f"An API key has at least {SHORTEST_SECRET} characters, got {len(secret)}.")

        def work(connection: sa.Connection) -> ApiKey:
            present = _find(connection, secret)
            if present is not None and not present.installed:
                raise InvalidRequest(
                    "The API key to install was created as an ordinary key, which can be revoked; choose another one."
                )
            mine = sa.and_(api_keys.c.tenant_id == tenant, api_keys.c.name == name, api_keys.c.installed)
            if present is None:
                connection.execute(api_keys.delete().where(mine))
                return _insert(connection, tenant, name, role, secret, installed=True)
            if (present.tenant_id, present.name) != (tenant, name):
                raise InvalidRequest("The API key to install is already installed under another name.")
            connection.execute(api_keys.delete().where(mine, api_keys.c.id != present.id))
            valid = api_keys.update().where(api_keys.c.id == present.id).values(revoked=None, expires=None)
            connection.execute(valid.values(role=str(role)))
            return to_key(_find(connection, secret))

        return self._database.transact(work)

    def authenticate(self, secret: str) -> ApiKey:
        """The key that a secret belongs to. Raises KeyInvalid: the key is unknown, revoked or expired."""
        with self._database.read() as connection:
            row = _find(connection, secret)
        if row is None or not hmac.compare_digest(row.digest, digest(secret)):
            raise KeyInvalid("The API key is unknown.")
        return self._valid(row)

    def authenticate_pair(self, key_id: str, secret: str) -> ApiKey:
        """The key that a secret belongs to, if it has this id: for schemes that send an id together with the secret.

        Raises KeyInvalid: the key is unknown, revoked or expired, or the id belongs to another key.
        """
        with self._database.read() as connection:
            row = _find(connection, secret)
        if row is None or not hmac.compare_digest(row.id.encode(), str(key_id).encode(errors="replace")):
            raise KeyInvalid("The API key's id or secret is unknown.")
        return self._valid(row)

    def list(self, tenant: str) -> list[ApiKey]:
        """The tenant's keys that are not revoked, oldest first."""
        query = (
            sa.select(api_keys)
            .where(api_keys.c.tenant_id == tenant, api_keys.c.revoked.is_(None))
            .order_by(api_keys.c.created, api_keys.c.id)
        )
        with self._database.read() as connection:
            return [to_key(row) for row in connection.execute(query)]

    def revoke(self, tenant: str, key_id: str) -> None:
        """Revoke a key; requests in progress are not interrupted. Raises KeyNotFound."""
        if checks.is_id(key_id):
            chosen = sa.and_(api_keys.c.id == key_id, api_keys.c.tenant_id == tenant, api_keys.c.revoked.is_(None))
            change = api_keys.update().where(chosen).values(revoked=dt.datetime.now(dt.UTC))

            def work(connection: sa.Connection) -> int:
                number = connection.execute(change).rowcount
                drafts = [Draft("revoke_key", details={"key": key_id})] if number else []
                audit_chain.append(connection, tenant, drafts)
                return number

            if self._database.transact(work):
                return
        raise KeyNotFound(f"There is no API key with the id {checks.quoted(key_id)}.", key_id=str(key_id)[:100])

    def count(self) -> int:
        """Number of keys, over all tenants, that are neither revoked nor expired."""
        now = dt.datetime.now(dt.UTC)
        valid = sa.and_(api_keys.c.revoked.is_(None), sa.or_(api_keys.c.expires.is_(None), api_keys.c.expires > now))
        with self._database.read() as connection:
            return count(connection, sa.select(api_keys.c.id).where(valid))

    def close(self) -> None:
        """Release threads and connections."""
        self._background.shutdown()
        self._database.close()

    def _valid(self, row: sa.Row[Any]) -> ApiKey:
        now = dt.datetime.now(dt.UTC)
        if row.revoked is not None:
            raise KeyInvalid("The API key is revoked.")
        if row.expires is not None and row.expires <= now:
            raise KeyInvalid("The API key has expired.")
        if row.last_used is None or now - row.last_used >= LAST_USED_PRECISION:
            self._background.submit(self._note_use, row.id, now)  # the caller does not wait for the write lock
        return to_key(row)

    def _note_use(self, key_id: str, now: dt.datetime) -> None:
        stale = sa.or_(api_keys.c.last_used.is_(None), api_keys.c.last_used <= now - LAST_USED_PRECISION)
        try:
            with self._database.write() as connection:
                connection.execute(api_keys.update().where(api_keys.c.id == key_id, stale).values(last_used=now))
        except StoreUnavailable as error:
            log.warning("could not store when an API key was last used: %s", error)


def digest(secret: str) -> str:
    """The stored form of a secret: its SHA-256, hex."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()


def to_key(row: sa.Row[Any]) -> ApiKey:
    """A row of the table as a domain value."""
    return to_value(ApiKey, row, role=to_choice(Role, row.role, "api_keys.role"))


def _find(connection: sa.Connection, secret: str) -> Any:
    return connection.execute(_LOOKUP, {"digest": digest(secret)}).first()


def _insert(connection: sa.Connection, tenant: str, name: str, role: Role, secret: str, **values: Any) -> ApiKey:
    values |= {"id": uuid.uuid4().hex, "tenant_id": tenant, "name": name, "role": str(Role(role))}
    values |= {"digest": digest(secret), "created": dt.datetime.now(dt.UTC)}
    connection.execute(api_keys.insert().values(values))
    return to_key(_find(connection, secret))
