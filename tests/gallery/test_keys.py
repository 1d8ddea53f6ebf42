"""API keys."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from scripts.servers.postgres import PostgresServer
from serve_app.domain import DEFAULT_TENANT, Role
from serve_app.errors import InvalidRequest, KeyInvalid, KeyNotFound
from serve_app.gallery import KeyStore, open_keys
from serve_app.gallery.sql.schema import api_keys
from serve_app.settings import Settings, StorageSettings

TENANT = DEFAULT_TENANT


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def key_settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings for each database in turn."""
    storage = StorageSettings()
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres")
        storage = StorageSettings(database_url=server.create_database())
    return Settings(data_dir=tmp_path, storage=storage)


@pytest.fixture
def keys(key_settings: Settings) -> Iterator[KeyStore]:
    """A key store without keys."""
    store = open_keys(key_settings)
    yield store
    store.close()


def test_a_created_key_authenticates(keys: KeyStore) -> None:
    expires = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
    key, secret = keys.create(TENANT, "ci", Role.ENROLL, expires, 2.5)
    assert secret.startswith("fg_")
    assert len(secret) >= 46
    assert (key.tenant_id, key.name, key.role, key.expires, key.rate_limit) == (TENANT, "ci", Role.ENROLL, expires, 2.5)
    assert keys.authenticate(secret) == key
    assert keys.authenticate_pair(key.id, secret).id == key.id
    assert keys.count() == 1


def test_the_secret_is_stored_nowhere(keys: KeyStore) -> None:
    _, secret = keys.create(TENANT, "ci", Role.SEARCH)
    with keys._database.read() as connection:
        row = connection.execute(sa.select(api_keys)).one()
    assert not any(secret in str(value) for value in row)


@pytest.mark.parametrize("secret", ["", "fg_", "fg_" + "A" * 43, "\x00", "ü", "\ud800", "' or 1=1 --"])
def test_unknown_secrets_are_refused(keys: KeyStore, secret: str) -> None:
    key, _ = keys.create(TENANT, "ci", Role.SEARCH)
    with pytest.raises(KeyInvalid):
        keys.authenticate(secret)
    with pytest.raises(KeyInvalid):
        keys.authenticate_pair(key.id, secret)


def test_a_pair_must_belong_together(keys: KeyStore) -> None:
    key, _ = keys.create(TENANT, "a", Role.SEARCH)
    _, other = keys.create(TENANT, "b", Role.SEARCH)
    for key_id in (key.id, "", "\x00", "\ud800"):
        with pytest.raises(KeyInvalid):
            keys.authenticate_pair(key_id, other)


def test_revoking_and_expiring_take_effect_at_once_everywhere(keys: KeyStore, key_settings: Settings) -> None:
    elsewhere = open_keys(key_settings)  # as in another process
    expires = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=3)  # enough for a busy machine to use the key before
    key, secret = keys.create(TENANT, "a", Role.ADMIN, expires)
    _, lasting = keys.create(TENANT, "b", Role.ADMIN)
    assert elsewhere.authenticate(secret) == key
    while dt.datetime.now(dt.UTC) <= expires:
        time.sleep(0.05)
    with pytest.raises(KeyInvalid, match="expired"):
        elsewhere.authenticate(secret)
    lasting_id = elsewhere.authenticate(lasting).id
    keys.revoke(TENANT, lasting_id)
    with pytest.raises(KeyInvalid, match="revoked"):
        elsewhere.authenticate(lasting)
    assert keys.count() == 0
    assert [listed.id for listed in keys.list(TENANT)] == [key.id]
    elsewhere.close()


def test_only_ones_own_keys_can_be_revoked(keys: KeyStore) -> None:
    key, secret = keys.create(TENANT, "a", Role.ADMIN)
    for tenant, key_id in (("1" * 32, key.id), (TENANT, "0" * 32), (TENANT, "x"), (TENANT, "\x00")):
        with pytest.raises(KeyNotFound):
            keys.revoke(tenant, key_id)
    assert keys.list("1" * 32) == []
    keys.authenticate(secret)
    keys.revoke(TENANT, key.id)
    with pytest.raises(KeyNotFound):
        keys.revoke(TENANT, key.id)


def test_an_installed_key_replaces_the_one_before(keys: KeyStore) -> None:
    _, created = keys.create(TENANT, "admin", Role.ADMIN)
    first = keys.install(TENANT, "admin", Role.ADMIN, "correct horse")
    assert keys.install(TENANT, "admin", Role.ADMIN, "correct horse").id == first.id
    keys.revoke(TENANT, first.id)
    assert keys.install(TENANT, "admin", Role.ADMIN, "correct horse").id == first.id  # installing overrides revoking
    keys.install(TENANT, "admin", Role.ADMIN, "battery staple")
    assert keys.authenticate("battery staple").role is Role.ADMIN
    with pytest.raises(KeyInvalid):
        keys.authenticate("correct horse")
    keys.authenticate(created)
    with pytest.raises(InvalidRequest, match="at least 8"):
        keys.install(TENANT, "admin", Role.ADMIN, "short")
    with pytest.raises(InvalidRequest, match="was created"):
        keys.install(TENANT, "admin", Role.ADMIN, created)


def test_the_last_use_is_noted(keys: KeyStore) -> None:
    _, secret = keys.create(TENANT, "a", Role.SEARCH)
    started = dt.datetime.now(dt.UTC)
    keys.authenticate(secret)
    deadline = time.monotonic() + 120
    while (used := keys.list(TENANT)[0].last_used) is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert used is not None
    assert used >= started - dt.timedelta(seconds=1)
    keys.authenticate(secret)
    keys.close()
    assert keys.list(TENANT)[0].last_used == used


@pytest.mark.parametrize(
    "arguments",
    [
        {"expires": dt.datetime(2020, 1, 1, tzinfo=dt.UTC)},
        {"expires": dt.datetime(2999, 1, 1)},  # noqa: DTZ001 - that it is naive is the point
        {"rate_limit": 0},
        {"rate_limit": float("nan")},
        {"name": "x\x00"},
    ],
)
def test_impossible_keys_are_refused(keys: KeyStore, arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        keys.create(**({"tenant": TENANT, "name": "a", "role": Role.SEARCH} | arguments))
    assert keys.count() == 0
