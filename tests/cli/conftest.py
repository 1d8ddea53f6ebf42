"""Fixtures: the API over a real gallery and fake models on a real HTTP port, for the client and the commands."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send
from typer.testing import CliRunner, Result

from serve_app.api.api_context import ApiContext
from serve_app.api.app import create_app
from serve_app.cli import app
from serve_app.client import Client
from serve_app.domain import Role
from serve_app.settings import Limits
from serve_app.stages import matcher
from tests.service_parts import ServiceParts, empty_state

LIMITS = Limits(max_image_bytes=20_000, max_body_bytes=100_000, max_images_per_request=4, max_results=50)

Answer = Callable[[Request], Response | None]
"""What to answer instead of the application; None lets it answer."""


class Service(ServiceParts):
    """A running service.

    Attributes:
        instead: asked before each request.
        requests: method and path of each, in order.
    """

    def __init__(self, url: str) -> None:
        super().__init__(background=True, limits=LIMITS)
        self.url = url
        self.secrets = {role: empty_state()[1][role] for role in Role}
        self.context = ApiContext(
            service=self.service,
            keys=self.keys,
            settings=self.settings,
            info={"name": "facegraph", "version": "1.2.3"},
        )
        self.instead: Answer = lambda request: None
        self.requests: list[tuple[str, str]] = []

    def client(self, role: Role = Role.ADMIN, **options: Any) -> Client:
        """A client with a key of this role."""
        return Client(self.url, self.secrets[role], 10, **options)

    def cli(self, *arguments: str, role: Role = Role.ADMIN) -> Result:
        """A command against this service."""
        return facegraph(*arguments, "--url", self.url, "--key", self.secrets[role])


class Server:
    """The one application of all tests, on a port; it answers for the service of the test that runs.

    It notes requests, and answers some itself.
    """

    def __init__(self) -> None:
        self.service: Service | None = None
        self.url = ""
        self._application = create_app(lambda: self.service and self.service.context)
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._loop = asyncio.get_running_loop()
        if scope["type"] == "http" and self.service is not None:
            self.service.requests.append((scope["method"], scope["path"]))
            answer = self.service.instead(Request(scope))
            if answer is not None:
                await answer(scope, receive, send)
                return
        await self._application(scope, receive, send)

    def run(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a coroutine function on the loop that serves requests."""
        if self._loop is None:
            asyncio.run(work())
        else:
            asyncio.run_coroutine_threadsafe(work(), self._loop).result(120)


def error_answer(status: int, code: str, headers: dict[str, str] | None = None, **details: Any) -> Response:
    """An error as the service words it."""
    error = {"code": code, "message": f"made up: {code}", "details": details, "request_id": "r1"}
    return JSONResponse({"error": error}, status, headers)


def facegraph(*arguments: str, columns: int = 200) -> Result:
    """Run the command in this process, on a terminal of this width."""
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": str(columns), "NO_COLOR": "1"})


@contextlib.contextmanager
def running(application: ASGIApp) -> Iterator[str]:
    """Serve an application on a free port of this machine; gives its URL."""
    server = uvicorn.Server(uvicorn.Config(application, port=0, log_level="warning", ws="none", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        deadline = time.monotonic() + 120
        while not server.started:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """An application of its own for each test would take longer than most tests."""
    made = Server()
    with running(made) as made.url:
        yield made


@pytest.fixture
def service(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """A service without collections. Shadows the real one of the whole suite."""
    monkeypatch.setattr(matcher, "UPKEEP_PERIOD_S", 0.05)  # commands wait for background work
    made = server.service = Service(server.url)
    yield made
    server.service = None
    made.close(server.run)
