"""Serve's proxy: its connections are bounded, its refusals become a 503 with the API's error, and the application's
answers pass unchanged."""

from __future__ import annotations

import asyncio
import socket

import pytest
from ray.serve._private.http_util import convert_object_to_asgi_messages, start_asgi_http_server
from ray.serve.config import HTTPOptions
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.config import HTTP_PROTOCOLS

from serve_app.serving.proxy_middleware import middlewares


@pytest.fixture(autouse=True)
def protocols(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests keep uvicorn's own protocol."""
    monkeypatch.setitem(HTTP_PROTOCOLS, "auto", HTTP_PROTOCOLS["auto"])


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


def test_the_proxy_bounds_its_connections() -> None:
    """Serve's own function makes the server."""

    async def run() -> list[bytes]:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        options = HTTPOptions(host="127.0.0.1", port=port)
        options.middlewares.extend(middlewares())
        answer = PlainTextResponse("here")
        task, server = await start_asgi_http_server(answer, options, event_loop=asyncio.get_running_loop())
        while not server.started:
            await asyncio.sleep(0.01)
        answers = []
        for start in (b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", b"GET / HTTP/1.1\r\nX: " + b"a" * 70_000):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(start)
            answers.append(await asyncio.wait_for(reader.read(), 60))
            writer.close()
        server.should_exit = True
        await task
        return answers

    assert [answer[:12] for answer in asyncio.run(run())] == [b"HTTP/1.1 200", b"HTTP/1.1 431"]
