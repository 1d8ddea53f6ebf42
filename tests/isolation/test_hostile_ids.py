"""Ids that contain SQL, index filters or paths: they find, change and break nothing."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.isolation.test_tenants import OPEN, OPERATIONS, send
from tests.isolation.world import FACES, World, application, picture

HOSTILE = (
    "' OR '1'='1",
    "x'; DROP TABLE persons; --",
    'x" or face_id != "',
    '"] or collection_id in ["',
    "%",
    "_",
    "../../../../etc/passwd",
    "..\\..\\records.db",
    "/etc/passwd",
    "*",
    "\u202eada",
    "ada ",
    "ADA",
)
WITH_IDS = {
    name: operation
    for name, (method, path, operation) in OPERATIONS.items()
    if "{" in path and method in ("get", "delete")
}


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """Both tenants; no test changes anything."""
    with application() as client:
        made = World(client)
        made.renew()
        yield made
        made.close()


@pytest.mark.parametrize("name", sorted(WITH_IDS))
def test_hostile_ids_do_nothing(world: World, name: str) -> None:
    method, path, operation = OPERATIONS[name]
    owner = world.owner
    before = world.belongings("")
    options: dict[str, Any] = {"headers": {"X-API-Key": owner.secret}}
    if operation.get("security") == [{"NinthSenseBasic": []}]:
        options = {"auth": (owner.key_id, owner.secret)}
    for value in HOSTILE:
        sent = path
        for parameter in operation["parameters"]:
            if parameter["in"] == "path":
                sent = sent.replace(f"{{{parameter['name']}}}", quote(value, safe=""))
        answer = world.client.request(method, sent, **options)
        assert 400 <= answer.status_code < 500, (value, answer.status_code, answer.text[:200])
    assert world.belongings("") == before


def test_the_log_has_no_secrets_and_no_pictures(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    owner = world.owner
    for name in sorted(OPERATIONS.keys() - OPEN):
        answer = send(world, name, owner, owner.ids)
        assert owner.secret not in answer.text
        wrong = {"X-API-Key": f"{owner.secret}x", "Authorization": f"Basic {owner.secret}"}
        world.client.request(OPERATIONS[name][0], OPERATIONS[name][1], headers=wrong)
    for secret in (owner.secret, picture(FACES["owner"][0])[:40]):
        assert secret not in caplog.text
