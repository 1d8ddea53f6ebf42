"""The HTTP application over a real gallery and fake models: a client for each role, and the parts behind them."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import httpx2 as httpx
import pytest
from fastapi.testclient import TestClient

from serve_app.api.api_context import ApiContext
from serve_app.api.app import create_app
from serve_app.domain import DEFAULT_TENANT, Role
from serve_app.gallery import KeyStore
from serve_app.settings import Limits
from tests.fakes.stages import FAKE_MODEL, FakeFace, fake_picture
from tests.gallery.copies import StoredState
from tests.service_parts import ServiceParts, empty_state

LIMITS = Limits(max_image_bytes=20_000, max_body_bytes=200_000, max_images_per_request=4, max_results=50)


class World(ServiceParts):
    """One application and what it stands on.

    Args:
        client: of the application; None makes one.
        state, settings: see :class:`~tests.service_parts.ServiceParts`.
    """

    def __init__(self, client: TestClient | None = None, state: StoredState | None = None, **settings: Any) -> None:
        super().__init__(state, **{"limits": LIMITS, **settings})
        self.context = ApiContext(
            service=self.service,
            keys=self.keys,
            settings=self.settings,
            info={"name": "facegraph", "version": "1.2.3", "models": {FAKE_MODEL: {"task": "embedding"}}},
        )
        self.client = client or TestClient(create_app(lambda: self.context))
        roles = {name: {"X-API-Key": secret} for name, secret in empty_state()[1].items()}
        self.search, self.enroll, self.admin = roles["search"], roles["enroll"], roles["admin"]
        self.stranger = roles["stranger"]

    def call(self, method: str, path: str, headers: dict[str, str] | None = None, **options: Any) -> httpx.Response:
        """A request, by the admin unless other headers are given."""
        return self.client.request(method, path, headers=self.admin if headers is None else headers, **options)

    def enrol(self, person_id: str, *faces: FakeFace | str, collection: str = "staff", **data: str) -> httpx.Response:
        """Enrol a person with one picture a face."""
        files = [("image", ("a.jpg", fake_picture(face))) for face in faces]
        return self.call("PUT", f"/v1/collections/{collection}/persons/{person_id}", files=files, data=data)

    def work(self) -> None:
        """Do all the gallery's background work that waits."""
        while self.gallery.work():
            pass

    def leave(self) -> StoredState:
        """Release everything; what the stores held."""
        return self.close(self.client.portal.call) if self.client.portal is not None else self.close()


def header(keys: KeyStore, role: Role, tenant: str = DEFAULT_TENANT, **options: Any) -> dict[str, str]:
    """The header of a new key."""
    return {"X-API-Key": keys.create(tenant, f"{role} key", role, **options)[1]}


class Shared:
    """One application for all tests, since making one takes longer than most of them; each has its own context."""

    context: ApiContext | None = None


@pytest.fixture(scope="session")
def shared_client() -> Iterator[TestClient]:
    """The client of the shared application."""
    with TestClient(create_app(lambda: Shared.context)) as client:
        yield client


@pytest.fixture
def world(shared_client: TestClient) -> Iterator[World]:
    """A fresh context with an empty collection named staff."""
    built = World(shared_client)
    Shared.context = built.context
    built.call("POST", "/v1/collections", json={"name": "staff"}).raise_for_status()
    yield built
    Shared.context = None
    built.leave()


def code(response: httpx.Response) -> tuple[int, str]:
    """Status and error code; fails unless the answer is a whole envelope."""
    error = response.json()["error"]
    assert set(error) == {"code", "message", "details", "request_id"}
    assert error["message"]
    assert error["request_id"] == response.headers["x-request-id"]
    return response.status_code, error["code"]


def b64(content: bytes) -> str:
    """As base64 text."""
    return base64.b64encode(content).decode()


def as_file(content: bytes, name: str = "image") -> dict[str, tuple[str, bytes]]:
    """As the files of a multipart request."""
    return {name: ("photo.jpg", content)}
