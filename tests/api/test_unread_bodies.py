"""The answer reaches clients that write the whole request before they read, whatever the server read of it."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from starlette.types import ASGIApp, Message

from serve_app.api import unread_bodies
from serve_app.api.app import create_app
from serve_app.api.dialects import ALL
from serve_app.api.unread_bodies import UnreadBodies
from serve_app.serving.http_server import HttpServer
from tests.api.conftest import World

LARGE = bytes(12 << 20)
"""Over every limit of a body here, and more than the buffers of a connection hold."""


def serve(app: ASGIApp) -> Iterator[int]:
    """A listening server; yields its port."""
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setblocking(False)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def start() -> HttpServer:
        return HttpServer(app, listening)

    try:
        server = asyncio.run_coroutine_threadsafe(start(), loop).result(60)
        yield listening.getsockname()[1]
        asyncio.run_coroutine_threadsafe(server.close(), loop).result(60)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(60)
        loop.close()


@pytest.fixture
def port(world: World) -> Iterator[int]:
    yield from serve(create_app(lambda: world.context, ALL))


def by_http_client(port: int, path: str, headers: dict[str, str], body: Any) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", path, body, headers)
    answer = connection.getresponse()
    try:
        return answer.status, answer.read()
    finally:
        connection.close()


def by_urllib(port: int, path: str, headers: dict[str, str], body: Any) -> tuple[int, bytes]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, headers)
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60)
    return raised.value.code, raised.value.read()


@pytest.mark.parametrize("send", [by_http_client, by_urllib])
@pytest.mark.parametrize("path", ["/v1/search", "/facepp/v3/detect", "/v1/collections/staff/bulk", "/v1/nowhere"])
def test_an_answer_that_came_before_the_body(world: World, port: int, send: Any, path: str) -> None:
    with_key = world.admin if path.startswith("/v1") else {}
    expected = {"/v1/nowhere": 404, "/v1/collections/staff/bulk": 415}.get(path, 413)
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    for _ in range(3):  # a reset is a matter of luck
        status, body = send(port, path, {**form, **with_key}, LARGE)
        assert status == expected
        assert body
    if path == "/v1/search":
        assert send(port, path, form, LARGE)[0] == 401


def test_a_body_without_a_length(world: World, port: int) -> None:
    pieces = (LARGE[: 1 << 20] for _ in range(12))
    status, body = by_http_client(port, "/v1/search", {"Content-Type": "application/json", **world.admin}, pieces)
    assert status == 413
    assert json.loads(body)["error"]["code"] == "request_too_large"


def test_a_short_body_keeps_the_connection(world: World, port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    used = set()
    for headers, status in (({}, 401), (world.admin, 413), ({}, 401)):
        connection.request("POST", "/v1/search", bytes(500_000), {"Content-Type": "application/json", **headers})
        answer = connection.getresponse()
        assert (answer.status, answer.getheader("connection")) == (status, None)
        answer.read()
        assert connection.sock is not None
        used.add(connection.sock.getsockname())
    connection.close()
    assert len(used) == 1


@pytest.mark.parametrize("declared", [b"Content-Length: 99999999999", b"Transfer-Encoding: chunked"])
def test_a_sender_without_end_is_cut_off(
    world: World, port: int, declared: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unread_bodies, "MAX_BYTES_OF_STRANGERS", 8 << 20)
    piece = b"100000\r\n" + bytes(1 << 20) + b"\r\n" if declared.startswith(b"T") else bytes(1 << 20)
    sent = 0
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(b"POST /v1/search HTTP/1.1\r\nHost: x\r\n" + declared + b"\r\n\r\n")
        with suppress(ConnectionResetError, BrokenPipeError):
            while sent < 1000:
                connection.sendall(piece)
                sent += 1
    assert 8 <= sent < 100


def test_a_sender_who_pauses_is_cut_off(world: World, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unread_bodies, "MAX_IDLE_S", 0.2)
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(b"POST /v1/search HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\nabc")
        answer = b""
        while piece := connection.recv(10_000):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 401")
    assert b"connection: close" in answer.lower()


def test_a_sender_who_trickles_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unread_bodies, "MAX_S", 0.3)
    sent: list[Message] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 413, "headers": []})
        await send({"type": "http.response.body", "body": b"too much"})

    async def receive() -> Message:
        await asyncio.sleep(0.01)
        return {"type": "http.request", "body": b"x", "more_body": True}

    async def send(message: Message) -> None:
        sent.append(message)

    began = time.monotonic()
    scope = {"type": "http", "headers": [(b"transfer-encoding", b"chunked")]}
    asyncio.run(asyncio.wait_for(UnreadBodies(app)(scope, receive, send), 60))
    assert time.monotonic() - began >= 0.3
    assert [message.get("more_body") for message in sent] == [None, True, False]


def test_the_answer_comes_before_the_rest_of_the_body_is_read(world: World, port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(b"POST /v1/search HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\nabc")
        assert connection.recv(10_000).startswith(b"HTTP/1.1 401")


def test_who_waits_for_100_continue_is_told_that_the_connection_ends(world: World, port: int) -> None:
    head = b"POST /v1/search HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(head)
        answer = connection.recv(10_000)
    assert answer.startswith(b"HTTP/1.1 401")
    assert b"connection: close" in answer.lower()


def test_headers_without_end_are_refused(world: World, port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/healthz", headers={"X-Long": "a" * (4 << 20)})
    answer = connection.getresponse()
    assert (answer.status, answer.getheader("connection")) == (431, "close")
    assert b"65536 bytes" in answer.read()
    connection.close()
    sent = 0
    with socket.create_connection(("127.0.0.1", port), timeout=60) as endless:
        endless.sendall(b"GET /healthz HTTP/1.1\r\n")
        with suppress(ConnectionResetError, BrokenPipeError):
            while sent < 1000:
                endless.sendall(b"X-A: " + b"a" * (1 << 20) + b"\r\n")
                sent += 1
    assert sent < 100


def test_what_is_no_long_header_is_served(world: World, port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for _ in range(3):  # one connection
        connection.request("GET", "/healthz", headers={"X-Long": "a" * 60_000})
        assert connection.getresponse().read()
        connection.request("POST", "/v1/detect", bytes(150_000), {**world.admin, "Content-Type": "application/json"})
        assert connection.getresponse().read()
        assert connection.sock is not None
    connection.close()
    with socket.create_connection(("127.0.0.1", port), timeout=60) as pipelined:
        pipelined.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 16)
        answers = b""
        while answers.count(b"HTTP/1.1 200") < 16:
            piece = pipelined.recv(1 << 20)
            assert piece
            answers += piece
