"""``/v1/keys``, roles and rate limits."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from serve_app.api.key_limits import RateLimiter
from serve_app.domain import ApiKey, Role
from serve_app.errors import RateLimited
from serve_app.gallery.sql.schema import api_keys
from tests.api.conftest import World, code, header

ROUTES = {
    "search": [
        ("POST", "/v1/search"),
        ("POST", "/v1/detect"),
        ("POST", "/v1/compare"),
        ("POST", "/v1/verify"),
        ("POST", "/v1/liveness"),
        ("POST", "/v1/embed"),
        ("GET", "/v1/info"),
        ("GET", "/v1/collections"),
        ("GET", "/v1/collections/staff"),
        ("GET", f"/v1/faces/{'0' * 32}/image"),
    ],
    "enroll": [
        ("PUT", "/v1/collections/staff/persons/ada"),
        ("GET", "/v1/collections/staff/persons/ada"),
        ("GET", "/v1/collections/staff/persons"),
        ("DELETE", "/v1/collections/staff/persons/ada"),
        ("DELETE", "/v1/persons/ada"),
        ("POST", "/v1/receipts/check"),
        ("POST", "/v1/collections/staff/persons/ada/faces"),
        ("POST", "/v1/collections/staff/persons/ada/merge"),
        ("POST", "/v1/collections/staff/persons/ada/distinct"),
        ("DELETE", f"/v1/collections/staff/persons/ada/faces/{'0' * 32}"),
        ("POST", "/v1/collections/staff/duplicates"),
        ("GET", "/v1/collections/staff/unknowns"),
        ("DELETE", "/v1/collections/staff/unknowns"),
        ("GET", f"/v1/collections/staff/unknowns/{'0' * 32}"),
        ("DELETE", f"/v1/collections/staff/unknowns/{'0' * 32}"),
        ("POST", f"/v1/collections/staff/unknowns/{'0' * 32}/name"),
        ("POST", f"/v1/collections/staff/unknowns/{'0' * 32}/merge"),
        ("GET", "/v1/tasks"),
        ("GET", f"/v1/tasks/{'0' * 32}"),
        ("DELETE", f"/v1/tasks/{'0' * 32}"),
        ("GET", f"/v1/tasks/{'0' * 32}/duplicates"),
        ("GET", f"/v1/tasks/{'0' * 32}/events"),
        ("GET", f"/v1/tasks/{'0' * 32}/report"),
        ("POST", "/v1/collections/staff/bulk"),
    ],
    "admin": [
        ("POST", "/v1/collections"),
        ("PATCH", "/v1/collections/staff"),
        ("DELETE", "/v1/collections/staff"),
        ("GET", "/v1/audit"),
        ("GET", "/v1/audit/check"),
        ("GET", "/v1/status"),
        ("GET", "/v1/embedder"),
        ("GET", "/v1/embedder/left-behind"),
        ("POST", "/v1/keys"),
        ("GET", "/v1/keys"),
        ("DELETE", "/v1/keys/unknown"),
    ],
}
ALL_ROUTES = [(role, *route) for role, routes in ROUTES.items() for route in routes]


@pytest.mark.parametrize(("needed", "method", "path"), ALL_ROUTES)
def test_roles(world: World, needed: str, method: str, path: str) -> None:
    roles = list(Role)
    for role in roles:
        status, error = (answer := world.call(method, path, getattr(world, role))).status_code, answer.text
        allowed = roles.index(role) >= roles.index(Role(needed))
        assert (status != 403) == allowed, error
        assert status != 401
    assert code(world.call(method, path, {})) == (401, "api_key_missing")
    wrong = world.call(method, path, {"X-API-Key": "wrong"})
    assert code(wrong) == (401, "api_key_invalid")
    assert "ApiKey" in wrong.headers["www-authenticate"]
    assert code(world.call(method, path, {"X-API-Key": "x" * 5000})) == (401, "api_key_invalid")


def test_the_table_of_roles_is_complete(world: World) -> None:
    open_to_all = {("GET", "/healthz"), ("GET", "/readyz")}
    documented = {
        (method.upper(), path)
        for path, operations in world.call("GET", "/openapi.json").json()["paths"].items()
        for method in operations
    }
    values = {
        "{name}": "staff",
        "{person_id}": "ada",
        "{face_id}": "0" * 32,
        "{task_id}": "0" * 32,
        "{unknown_id}": "0" * 32,
        "{key_id}": "unknown",
    }

    def filled(path: str) -> str:
        for parameter, value in values.items():
            path = path.replace(parameter, value)
        return path

    tested = {(method, path) for _, method, path in ALL_ROUTES}
    assert {(method, filled(path)) for method, path in documented} - open_to_all == tested


def test_insufficient_roles_are_named(world: World) -> None:
    answer = world.call("GET", "/v1/keys", world.enroll)
    assert code(answer) == (403, "forbidden")
    assert answer.json()["error"]["details"] == {"needed": "admin", "has": "enroll"}


def test_create_use_list_revoke(world: World) -> None:
    created = world.call("POST", "/v1/keys", json={"name": "door", "role": "search", "rate_limit": 20})
    assert created.status_code == 201, created.text
    key = created.json()
    assert (key["name"], key["role"], key["rate_limit"], key["expires"]) == ("door", "search", 20, None)
    assert created.headers["cache-control"] == "no-store"
    mine = {"X-API-Key": key["secret"]}
    assert world.call("GET", "/v1/info", mine).status_code == 200
    listed = world.call("GET", "/v1/keys")
    assert key["id"] in {item["id"] for item in listed.json()["keys"]}
    assert key["secret"] not in listed.text
    assert code(world.call("DELETE", f"/v1/keys/{key['id']}", world.stranger)) == (404, "key_not_found")
    assert world.call("DELETE", f"/v1/keys/{key['id']}").json() == {"id": key["id"], "deleted": True}
    assert code(world.call("GET", "/v1/info", mine)) == (401, "api_key_invalid")
    assert code(world.call("DELETE", f"/v1/keys/{key['id']}")) == (404, "key_not_found")


def test_expiry(world: World) -> None:
    future = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    body = {"name": "door", "role": "search", "expires": future.isoformat()}
    assert world.call("POST", "/v1/keys", json=body).status_code == 201
    past = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=1)
    answer = world.call("POST", "/v1/keys", json={**body, "expires": past.isoformat()})
    assert code(answer) == (400, "invalid_request")
    assert "future" in answer.json()["error"]["message"]
    expired = header(world.keys, Role.ADMIN, expires=future)
    assert world.call("GET", "/v1/keys", expired).status_code == 200
    with world.database.write() as connection:
        connection.execute(api_keys.update().where(api_keys.c.expires == future).values(expires=past))
    assert code(world.call("GET", "/v1/keys", expired)) == (401, "api_key_invalid")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "door"},
        {"name": "", "role": "search"},
        {"name": "door", "role": "root"},
        {"name": "door", "role": "search", "expires": "2999-01-01T00:00:00"},
        {"name": "door", "role": "search", "expires": 32503680000},
        {"name": "door", "role": "search", "rate_limit": 0},
        {"name": "door", "role": "search", "rate_limit": "inf"},
    ],
)
def test_bad_keys(world: World, body: dict[str, Any]) -> None:
    assert code(world.call("POST", "/v1/keys", json=body)) == (400, "invalid_request")


def test_the_rate_limit_of_a_key(world: World) -> None:
    world.context.rates = RateLimiter(clock=lambda: 0.0)  # however long the requests take, they come at one moment
    limited, other = (header(world.keys, Role.SEARCH, rate_limit=2.0) for _ in range(2))
    answers = [world.call("GET", "/v1/info", limited) for _ in range(3)]
    assert [answer.status_code for answer in answers[:2]] == [200, 200]
    assert code(answers[2]) == (429, "rate_limited")
    assert answers[2].headers["retry-after"] == "1"
    assert world.call("GET", "/v1/info", other).status_code == 200


@pytest.mark.parametrize("rate", [5e-324, 1e-300, 1e-9])
def test_the_wait_for_a_very_low_rate_is_bounded(rate: float) -> None:
    limiter = RateLimiter(clock=lambda: 0.0)
    key = ApiKey("k", "t", "n", Role.SEARCH, dt.datetime.now(dt.UTC), rate_limit=rate)
    limiter.take(key)
    with pytest.raises(RateLimited) as refused:
        limiter.take(key)
    assert refused.value.details["retry_after_s"] == 86_400


def test_token_buckets() -> None:
    now = [0.0]
    limiter = RateLimiter(clock=lambda: now[0])
    key = ApiKey("k", "t", "n", Role.SEARCH, dt.datetime.now(dt.UTC), rate_limit=0.25)
    limiter.take(key)
    with pytest.raises(RateLimited) as refused:
        limiter.take(key)
    assert refused.value.details["retry_after_s"] == 4
    now[0] = 3.9
    with pytest.raises(RateLimited):
        limiter.take(key)
    now[0] = 4.0
    limiter.take(key)
    now[0] = 1000.0
    limiter.take(key)
    with pytest.raises(RateLimited):  # a long rest saves up one second's worth, not more
        limiter.take(key)
