"""The listening socket is handed to another process, and requests behave as behind a proxy."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest

from serve_app.errors import ConfigurationError
from serve_app.serving.http_server import CancelOnDisconnect, HttpServer
from serve_app.serving.socket_handoff import SocketHandoff, receive_socket


def _answer_once(path: str, word: bytes) -> None:
    listening = receive_socket(Path(path))
    listening.setblocking(True)
    connection, _ = listening.accept()
    connection.sendall(word)
    connection.close()


def test_processes_one_after_the_other_answer_on_the_same_port() -> None:
    listener = SocketHandoff("127.0.0.1", 0)
    spawn = multiprocessing.get_context("spawn")
    try:
        for word in (b"first", b"second"):
            # Connected before anybody accepts: the client waits instead of being refused.
            with socket.create_connection(("127.0.0.1", listener.port), timeout=240) as client:
                process = spawn.Process(target=_answer_once, args=(str(listener.path), word))
                process.start()
                assert client.recv(10) == word
                process.join(240)
                assert process.exitcode == 0
    finally:
        listener.close()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", listener.port), timeout=60)
    assert not listener.path.parent.exists()


def test_a_taken_port_and_a_lender_that_is_gone_are_said_in_words() -> None:
    listener = SocketHandoff("127.0.0.1", 0)
    try:
        with pytest.raises(ConfigurationError, match=f"Port {listener.port} on 127.0.0.1 cannot be used"):
            SocketHandoff("127.0.0.1", listener.port)
    finally:
        listener.close()
    listener.close()
    with pytest.raises(ConfigurationError, match="cannot be received"):
        receive_socket(listener.path)


@pytest.mark.skipif(not socket.has_ipv6, reason="this Python has no IPv6")
def test_both_families_reach_a_wildcard_of_ipv6(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            pytest.skip("this machine has no IPv6")
    for host, reached in (("::1", {"::1"}), ("::", {"::1", "127.0.0.1"})):
        listener = SocketHandoff(host, 0, tmp_path)
        try:
            assert listener.path.is_relative_to(tmp_path)
            found = set()
            for address in ("::1", "127.0.0.1"):
                with contextlib.suppress(OSError):
                    socket.create_connection((address, listener.port), timeout=60).close()
                    found.add(address)
            assert found == reached
        finally:
            listener.close()


def test_requests_are_served_and_counted() -> None:
    seen: list[tuple[str, int]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while (message := await receive())["type"] == "http.request":
            body += message["body"]
            if not message["more_body"]:
                break
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    async def scenario() -> None:
        listener = SocketHandoff("127.0.0.1", 0)
        server = HttpServer(
            app, receive_socket(listener.path), lambda method, route, status, took: seen.append((method, status))
        )
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{listener.port}", trust_env=False, timeout=60
        ) as client:
            answer = await client.post("/quick", content=b"x" * 300_000)
            assert (answer.status_code, len(answer.content)) == (200, 300_000)
        assert not server.failed
        await server.close()
        assert not server.failed
        listener.close()

    asyncio.run(scenario())
    assert seen == [("POST", 200)]


def test_a_request_whose_client_has_gone_is_cancelled() -> None:
    ended: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    messages = [{"type": "http.request", "body": b"", "more_body": False}, {"type": "http.disconnect"}]

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        ended.append(message["type"])

    asyncio.run(asyncio.wait_for(CancelOnDisconnect(app)({"type": "http"}, receive, send), 120))
    assert ended == ["cancelled"]


def test_errors_of_the_application_reach_the_server() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError("broken")

    async def nothing(*_: Any) -> Any:
        return {"type": "http.disconnect"}

    with pytest.raises(ValueError, match="broken"):
        asyncio.run(CancelOnDisconnect(app)({"type": "http"}, nothing, nothing))
