"""Refusals by Serve's proxy become a 503 with the API's error; the application's answers pass unchanged."""

from __future__ import annotations

import pytest
from ray.serve._private.http_util import convert_object_to_asgi_messages
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send

from serve_app.serving.proxy_middleware import middlewares


def around(app: ASGIApp) -> TestClient:
    (middleware,) = middlewares()
    assert isinstance(middleware, Middleware)
    return TestClient(middleware.cls(app))


async def without_application(scope: Scope, receive: Receive, send: Send) -> None:
    """Ray Serve's own words."""
    text = f"Path '{scope['path']}' not found. Ping http://.../-/routes for available routes."
    for message in convert_object_to_asgi_messages(text, status_code=404):
        await send(message)


async def without_replica(scope: Scope, receive: Receive, send: Send) -> None:
    """What the proxy does when the replica dies: nothing."""


@pytest.mark.parametrize(("proxy", "outcome"), [(without_application, None), (without_replica, "unknown")])
def test_the_proxy_s_own_answers_are_503(proxy: ASGIApp, outcome: str | None) -> None:
    answer = around(proxy).delete("/v1/persons/ada")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    error = answer.json()["error"]
    assert (error["code"], error["details"].get("outcome")) == ("unavailable", outcome)


@pytest.mark.parametrize(
    "said",
    [
        JSONResponse({"error": {"code": "person_not_found"}}, 404),
        PlainTextResponse("nobody", 404),
        PlainTextResponse("", 404),
        PlainTextResponse("/-/routes for available routes."),
        StreamingResponse(iter([b"in ", b"parts"]), 404),
    ],
)
def test_the_application_s_own_answers_go_through(said: Response) -> None:
    answer = around(said).get("/")
    assert answer.status_code == said.status_code
    assert answer.content == getattr(said, "body", b"in parts")
    assert answer.headers.get("Content-Type") == said.headers.get("Content-Type")
