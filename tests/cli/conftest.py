"""The API over fake stages on a real HTTP port, for the client and the commands that use it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send
from typer.testing import CliRunner, Result

from serve_app.api.api_context import ApiContext
from serve_app.api.app import create_app
from serve_app.api.fakes import FakeKeyStore
from serve_app.cli import app
from serve_app.client import Client
from serve_app.domain import DEFAULT_TENANT, Role
from serve_app.service import FaceService
from serve_app.settings import Limits, Settings
from serve_app.stages.fake_matcher import FakeMatcher
from serve_app.stages.fakes import FAKE_CALIBRATION, FAKE_MODEL, FakeDetector, FakeEmbedder, FakeLiveness

LIMITS = Limits(max_image_bytes=20_000, max_body_bytes=100_000, max_images_per_request=4, max_results=50)

Answer = Callable[[Request], Response | None]
"""What to answer instead of the application; None lets it answer."""


@dataclass
class Service:
    """A running service.

    Attributes:
        instead: asked before each request.
        requests: method and path of each, in order.
    """

    context: ApiContext
    keys: dict[Role, str]
    matcher: FakeMatcher
    url: str = ""
    instead: Answer = lambda request: None
    requests: list[tuple[str, str]] = field(default_factory=list)

    def client(self, role: Role = Role.ADMIN, **options: Any) -> Client:
        """A client with a key of this role."""
        return Client(self.url, self.keys[role], 10, **options)

    def cli(self, *arguments: str, role: Role = Role.ADMIN) -> Result:
        """A command against this service."""
        return facegraph(*arguments, "--url", self.url, "--key", self.keys[role])


class _Tap:
    """Notes requests, and answers some itself."""

    def __init__(self, application: ASGIApp, service: Service) -> None:
        self.application = application
        self.service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.service.requests.append((scope["method"], scope["path"]))
            answer = self.service.instead(Request(scope))
            if answer is not None:
                await answer(scope, receive, send)
                return
        await self.application(scope, receive, send)


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


@pytest.fixture
def service() -> Iterator[Service]:
    """A service without collections. Shadows the real one of the whole suite."""
    matcher = FakeMatcher()
    parts = (FakeDetector(), FakeLiveness(), FakeEmbedder(), matcher)
    keys = FakeKeyStore()
    context = ApiContext(
        service=FaceService(*parts, calibrations={FAKE_MODEL: FAKE_CALIBRATION}),
        keys=keys,
        settings=Settings(limits=LIMITS),
        info={"name": "facegraph", "version": "1.2.3"},
    )
    secrets = {role: keys.create(DEFAULT_TENANT, f"{role} key", role)[1] for role in Role}
    service = Service(context, secrets, matcher)
    with running(_Tap(create_app(lambda: context), service)) as url:
        service.url = url
        yield service
