"""Idle sockets keep nobody out who has shown a key, on a running instance."""

from __future__ import annotations

import contextlib
import socket
import uuid
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from serve_app.client import Client
from tests import photos
from tests.graph.inprocess import InProcessService
from tests.graph.service import RunningService

pytestmark = pytest.mark.graph

IDLE = 64
HEAD = "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\n{key}Content-Length: {length}\r\n\r\na"
FORM = "application/x-www-form-urlencoded"


@contextlib.contextmanager
def idle(url: str, path: str, kind: str, key: str = "", length: int = 1000) -> Iterator[list[socket.socket]]:
    """Sockets that have sent the head of a request and one byte of its body."""
    head = HEAD.format(path=path, kind=kind, key=f"X-API-Key: {key}\r\n" if key else "", length=length).encode()
    parts = urlsplit(url)
    with contextlib.ExitStack() as held:
        sockets = [
            held.enter_context(socket.create_connection((str(parts.hostname), int(parts.port or 80)), timeout=60))
            for _ in range(IDLE)
        ]
        for each in sockets:
            each.sendall(head)
        yield sockets


@pytest.fixture
def probe(running: RunningService | InProcessService) -> Iterator[tuple[Client, str]]:
    """A client and the name of a collection to search."""
    name = f"idle-{uuid.uuid4().hex[:8]}"
    with Client(running.url, running.key or "", patience_s=0) as api:
        api.create_collection(name)
        yield api, name
        api.delete_collection(name)


def test_without_a_key(running: RunningService | InProcessService, probe: tuple[Client, str]) -> None:
    api, name = probe
    with idle(running.url, "/facepp/v3/detect", FORM) as sockets:
        assert sockets[0].recv(1000).startswith(b"HTTP/1.1 403")  # the oldest has made room
        assert api.info()
        assert api.search(photos.astronaut(), [name])["faces"]


def test_with_a_key(running: RunningService | InProcessService, probe: tuple[Client, str]) -> None:
    api, name = probe
    key = api.create_key(f"idle {name}", role="search")
    with idle(running.url, "/v1/detect", "application/json", key["secret"], 2**26) as sockets:
        answers = [each.recv(1000) for each in sockets[-3:]]  # more bytes than its share
        assert all(answer.startswith(b"HTTP/1.1 429") for answer in answers)
        assert api.info()
        assert api.search(photos.astronaut(), [name])["faces"]
    api.revoke_key(key["id"])
