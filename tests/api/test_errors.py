"""The error envelope of the native API."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from serve_app.api.request_guard import RequestGuard
from serve_app.api.request_limits import bounds_of
from serve_app.errors import ConfigurationError, Overloaded, StoreUnavailable, Unavailable
from serve_app.settings import Settings
from tests.api.conftest import World, as_file, b64, code
from tests.fakes.stages import fake_picture

PICTURE = fake_picture("ada")


def test_unknown_paths_and_methods(world: World) -> None:
    assert code(world.call("GET", "/v1/nothing")) == (404, "route_not_found")
    assert code(world.call("GET", "/nothing")) == (404, "route_not_found")
    answer = world.call("GET", "/v1/search")
    assert code(answer) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "OPTIONS, POST"
    answer = world.call("DELETE", "/v1/collections")
    assert code(answer) == (405, "method_not_allowed")


@pytest.mark.parametrize(
    ("failure", "expected", "retry_after"),
    [
        (Overloaded("The embedder has no room.", retry_after_s=3), (429, "overloaded"), "3"),
        (Unavailable("The embedder is restarting; try again."), (503, "unavailable"), None),
        (StoreUnavailable("The index cannot be reached."), (503, "store_unavailable"), None),
    ],
)
def test_what_stages_raise(
    world: World, failure: Exception, expected: tuple[int, str], retry_after: str | None
) -> None:
    world.embedder.failure = failure
    answer = world.call("POST", "/v1/embed", files=as_file(PICTURE))
    assert code(answer) == expected
    assert answer.headers.get("retry-after") == retry_after
    assert answer.json()["error"]["message"] == str(failure)


@pytest.mark.parametrize("failure", [RuntimeError("secret detail"), ConfigurationError("secret path")])
def test_unexpected_failures_tell_nothing(world: World, failure: Exception, caplog: pytest.LogCaptureFixture) -> None:
    world.embedder.failure = failure
    with caplog.at_level(logging.ERROR):
        answer = world.call("POST", "/v1/embed", {**world.admin, "x-request-id": "abc-1"}, files=as_file(PICTURE))
    assert code(answer) == (500, "internal_error")
    assert "secret" not in answer.text
    assert answer.json()["error"]["details"] == {}
    assert "abc-1" in caplog.text
    assert str(failure) in caplog.text


def test_request_ids(world: World) -> None:
    taken = world.call("GET", "/v1/nothing", {"x-request-id": "order-66_A.b:c"})
    assert taken.headers["x-request-id"] == "order-66_A.b:c"
    for odd in ("x" * 129, "a b", 'a"b', ""):
        made = world.call("GET", "/v1/nothing", {"x-request-id": odd}).headers["x-request-id"]
        assert made != odd
        assert len(made) == 32
    one, two = (world.call("GET", "/healthz").headers["x-request-id"] for _ in range(2))
    assert one != two


@pytest.mark.parametrize("path", ["/v1/search", "/v1/detect", "/v1/compare", "/v1/verify", "/v1/liveness", "/v1/embed"])
@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "image/jpeg", "", "multipart/mixed"]
)
def test_bodies_of_another_type(world: World, path: str, kind: str) -> None:
    answer = world.call("POST", path, {**world.search, "content-type": kind}, content=b"a=b")
    assert code(answer) == (415, "media_type_unsupported")
    assert answer.json()["error"]["details"]["accepted"] == ["application/json", "multipart/form-data"]


def test_paths_that_read_json_only(world: World) -> None:
    answer = world.call("POST", "/v1/collections", files={"name": (None, "staff")})
    assert code(answer) == (415, "media_type_unsupported")
    assert answer.json()["error"]["details"]["accepted"] == ["application/json"]


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("application/json", b"{"),
        ("application/json", b"null"),
        ("application/json", b"\xff\xfe"),
        ("application/json", b'{"image_base64": "\\ud800"}'),
        ("application/json", b"[" * 100_000),
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=b", b"x"),
        ("multipart/form-data; boundary=b", b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n"),
        ("multipart/form-data; boundary=b", b"--b\r\n: \r\n\r\n--b--"),
        ("multipart/form-data; boundary=" + "b" * 100, b""),
    ],
)
def test_damaged_bodies(world: World, kind: str, content: bytes) -> None:
    answer = world.call("POST", "/v1/detect", {**world.search, "content-type": kind}, content=content)
    assert code(answer) == (400, "invalid_request")


def test_a_form_with_too_much_in_it(world: World) -> None:
    files = [("image", ("a.jpg", PICTURE))] * 2
    answer = world.call("POST", "/v1/detect", files=files)
    assert code(answer) == (400, "invalid_request")
    fields = {f"f{number}": "x" for number in range(1001)}
    answer = world.call("POST", "/v1/detect", files=as_file(PICTURE), data=fields)
    assert code(answer) == (400, "invalid_request")
    answer = world.call("POST", "/v1/detect", files=as_file(PICTURE), data={"image_base64": b64(PICTURE)})
    assert code(answer) == (400, "invalid_request")
    answer = world.call("POST", "/v1/detect", files={"image": (None, "text, not a file")})
    assert code(answer) == (400, "invalid_request")


def test_bodies_that_are_too_large(world: World) -> None:
    answer = world.call("POST", "/v1/detect", files=as_file(b"x" * 200_001))
    assert code(answer) == (413, "request_too_large")

    def unannounced() -> Any:
        for _ in range(300):
            yield b"x" * 1000

    headers = {**world.search, "content-type": "application/json"}
    answer = world.call("POST", "/v1/detect", headers, content=unannounced())
    assert code(answer) == (413, "request_too_large")
    assert code(world.call("POST", "/v1/detect", {}, files=as_file(b"x" * 200_001))) == (401, "api_key_missing")


def test_a_declared_length_is_believed_before_anything_is_read() -> None:
    asked = 0

    async def receive() -> dict[str, Any]:
        nonlocal asked
        asked += 1
        return {"type": "http.request", "body": b"x", "more_body": True}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()

    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "query_string": b"",
        "headers": [(b"content-length", b"11")],
    }
    asyncio.run(RequestGuard(app, lambda: bounds_of(Settings())._replace(max_body_bytes=10))(scope, receive, send))  # type: ignore[arg-type]
    assert asked == 0
    assert sent[0]["status"] == 413


def test_long_values_are_not_echoed_in_full(world: World) -> None:
    answer = world.call("POST", "/v1/detect", json={"image_base64": b64(PICTURE), "max_faces": "9" * 5000})
    assert code(answer) == (400, "invalid_request")
    assert len(answer.text) < 1000
