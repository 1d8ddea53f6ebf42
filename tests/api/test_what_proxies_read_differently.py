"""A proxy in front may read a request differently than this service: two keys, blanks, and the host in redirects."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from fastapi.testclient import TestClient

from serve_app.api.app import create_app
from serve_app.api.dialects import ALL
from tests.api.conftest import World, code


def sent(world: World, headers: list[tuple[str, str]], path: str = "/v1/info") -> tuple[int, str]:
    answer = world.client.request("GET", path, headers=headers)
    return (200, "") if answer.status_code == 200 else code(answer)


def test_two_keys_are_refused(world: World) -> None:
    key, other = world.search["X-API-Key"], world.admin["X-API-Key"]
    for headers in (
        [("X-API-Key", key), ("X-API-Key", other)],
        [("X-API-Key", key), ("x-api-key", key)],
        [("X-API-Key", "wrong"), ("X-API-Key", key)],
        [("X-API-Key", ""), ("X-API-Key", key)],
        [("X-API-Key", key), ("Authorization", f"Bearer {other}")],
        [("X-API-Key", key), ("Authorization", "Bearer a"), ("Authorization", "Bearer b")],
    ):
        assert sent(world, headers) == (400, "invalid_request"), headers
        assert sent(world, headers, "/v1/keys") == (400, "invalid_request"), headers


def test_one_key_is_not_two(world: World) -> None:
    key = world.search["X-API-Key"]
    for more in ([], [("Authorization", f"bearer {key}")], [("Authorization", "Basic YTpi")]):  # a proxy's own password
        assert sent(world, [("X-API-Key", key), *more]) == (200, ""), more
    assert sent(world, [("Authorization", f"Bearer {key}")]) == (401, "api_key_missing")


@pytest.mark.parametrize(
    "path",
    [
        *("/healthz/", "//healthz", "/v1/info/", "/docs/", "/docs/assets", "/docs/assets/", "/console", "/console/"),
        *(
            "/console//",
            "/console/js",
            "/console/..",
            "//elsewhere.example",
            "//elsewhere.example/..",
            "/v1",
            "/v1/",
            "/v1//info",
        ),
        *("/facepp/v3/detect/", "/face", "/openapi.json/"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
def test_nothing_leads_to_the_host_that_was_sent(world: World, method: str, path: str) -> None:
    client: Any = TestClient(create_app(lambda: world.context, ALL), follow_redirects=False)
    answer = client.request(method, f"http://testserver{path}", headers={"Host": "evil.example", **world.admin})
    assert not answer.is_redirect
    assert "location" not in answer.headers
    assert "evil.example" not in answer.text
    assert answer.status_code < 500


def test_an_upload_that_is_broken_off_writes_nothing_into_the_log(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app(lambda: world.context)
    messages = [{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}]

    async def receive() -> Any:
        return messages.pop(0)

    async def send(_: Any) -> None:
        pytest.fail("nobody is there")

    headers = [(b"content-type", b"application/json"), (b"content-length", b"100")]
    key = (b"x-api-key", world.admin["X-API-Key"].encode())
    scope = {"type": "http", "method": "POST", "path": "/v1/search", "raw_path": b"/v1/search", "query_string": b""}
    with caplog.at_level(logging.INFO):
        assert world.client.portal is not None
        world.client.portal.call(app, {**scope, "headers": [*headers, key]}, receive, send)
    assert caplog.records == []
