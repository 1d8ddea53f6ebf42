"""The HTTP application over fake stages: a client for each role, and the parts to reach behind them."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx2 as httpx
import pytest
from fastapi.testclient import TestClient

from serve_app.api.api_context import ApiContext
from serve_app.api.app import create_app
from serve_app.api.fakes import FakeKeyStore
from serve_app.domain import DEFAULT_TENANT, Role
from serve_app.service import FaceService
from serve_app.settings import Limits, Settings
from serve_app.stages.fake_matcher import FakeMatcher
from serve_app.stages.fakes import (
    FAKE_CALIBRATION,
    FAKE_MODEL,
    FakeDetector,
    FakeEmbedder,
    FakeFace,
    FakeLiveness,
    fake_picture,
)

LIMITS = Limits(max_image_bytes=20_000, max_body_bytes=200_000, max_images_per_request=4, max_results=50)


@dataclass
class World:
    """One application and what it stands on."""

    context: ApiContext
    client: TestClient
    detector: FakeDetector
    liveness: FakeLiveness
    embedder: FakeEmbedder
    matcher: FakeMatcher
    keys: FakeKeyStore
    search: dict[str, str]
    enroll: dict[str, str]
    admin: dict[str, str]
    stranger: dict[str, str]

    def call(self, method: str, path: str, headers: dict[str, str] | None = None, **options: Any) -> httpx.Response:
        """A request, by the admin unless other headers are given."""
        return self.client.request(method, path, headers=self.admin if headers is None else headers, **options)

    def enrol(self, person_id: str, *faces: FakeFace | str, collection: str = "staff", **data: str) -> httpx.Response:
        """Enrol a person with one picture a face."""
        files = [("image", ("a.jpg", fake_picture(face))) for face in faces]
        return self.call("PUT", f"/v1/collections/{collection}/persons/{person_id}", files=files, data=data)


def header(keys: FakeKeyStore, role: Role, tenant: str = DEFAULT_TENANT, **options: Any) -> dict[str, str]:
    """The header of a new key."""
    return {"X-API-Key": keys.create(tenant, f"{role} key", role, **options)[1]}


def build_world(client: TestClient | None = None, **settings: Any) -> World:
    """An application over fakes, or a given one; keyword arguments are settings."""
    detector, liveness, embedder, matcher = FakeDetector(), FakeLiveness(), FakeEmbedder(), FakeMatcher()
    service = FaceService(detector, liveness, embedder, matcher, calibrations={FAKE_MODEL: FAKE_CALIBRATION})
    keys = FakeKeyStore()
    context = ApiContext(
        service=service,
        keys=keys,
        settings=Settings(**{"limits": LIMITS, **settings}),
        info={"name": "facegraph", "version": "1.2.3", "models": {FAKE_MODEL: {"task": "embedding"}}},
    )
    roles = {role.value: header(keys, role) for role in Role}
    client = client or TestClient(create_app(lambda: context))
    other = header(keys, Role.ADMIN, tenant="f" * 32)
    return World(context, client, detector, liveness, embedder, matcher, keys, **roles, stranger=other)


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
    built = build_world(shared_client)
    Shared.context = built.context
    built.call("POST", "/v1/collections", json={"name": "staff"}).raise_for_status()
    yield built
    Shared.context = None


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
