"""A client of 9thSense's wire format, and a gallery to search in."""

from __future__ import annotations

from typing import Any

import httpx2 as httpx

from serve_app.domain import DEFAULT_TENANT, Role
from tests.api.conftest import World
from tests.fakes.stages import FakeFace, fake_picture


class Client:
    """Speaks 9thSense's wire format, with the key's id and secret."""

    def __init__(self, world: World, role: Role = Role.SEARCH, tenant: str = DEFAULT_TENANT, **options: Any) -> None:
        key, secret = world.keys.create(tenant, "kyc", role, **options)
        self.world = world
        self.auth = (key.id, secret)

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self.world.client.request(method, path, **{"auth": self.auth, **options})

    def search(self, ids: str, picture: bytes | None = None, live: str | None = None, **data: Any) -> httpx.Response:
        return self.request(
            "POST",
            "/face/search",
            params={} if live is None else {"perform_liveness_check": live},
            data={"target_index_ids": ids, **data},
            files={"source_image": ("probe.jpg", fake_picture("john") if picture is None else picture)},
        )

    def index(self, name: str) -> str:
        indexes = self.request("GET", "/face/index/details").json()["response"]
        return next(str(index["id"]) for index in indexes if index["index_name"] == name)


def populated(world: World) -> Client:
    """John among the customers and on a watch list, Jane among the customers, Igor under sanctions."""
    for name, kind, title in (("customers", "INTERNAL", "Customers"), ("sanctions", "EXTERNAL", "Sanctions")):
        body = {"name": name, "kind": kind, "title": title, "description": f"All {name}"}
        world.call("POST", "/v1/collections", json=body).raise_for_status()
    john = {"date_of_birth": "1990-01-15", "nationality": "IN", "gender": "M", "id_number": "A1", "address": "1 Road"}
    world.enrol("j", "john", collection="customers", name="John Doe", notes="VIP", watch_list="PEP,fraud", **john)
    world.enrol("i", FakeFace("igor"), FakeFace("igor", take=1), collection="sanctions", name="Igor")
    world.enrol("k", "jane", collection="customers", name="Jane")
    return Client(world)


def failure(response: httpx.Response) -> tuple[int, str]:
    """Status and code; fails unless the answer is a whole envelope."""
    assert set(response.json()) == {"response"}
    assert set(response.json()["response"]) == {"error"}
    error = response.json()["response"]["error"]
    assert set(error) == {"code", "message", "request_id"}
    assert error["message"]
    assert error["request_id"] == response.headers["x-request-id"]
    return response.status_code, error["code"]
