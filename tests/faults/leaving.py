"""Clients that disconnect in the middle of a request: bytes on a bare socket that the test closes."""

from __future__ import annotations

import socket
import struct
from typing import Any

import httpx


def request_bytes(url: str, method: str, path: str, key: str, media_type: str = "", **content: Any) -> bytes:
    """An HTTP/1.1 request as it goes over the wire; ``content`` as httpx takes it."""
    headers = {"X-API-Key": key, **({"Content-Type": media_type} if media_type else {})}
    request = httpx.Request(method, f"{url}{path}", headers=headers, **content)
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in request.headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + request.read()


class LeavingClient:
    """Connects and sends; waits for no answer.

    Args:
        share: of the request that is sent, 0 to 1.
    """

    def __init__(self, port: int, request: bytes, share: float = 1.0) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=120)
        self._socket.sendall(request[: int(len(request) * share)])

    def leave(self, abruptly: bool = False) -> None:
        """Close the connection; ``abruptly`` as a process does that is killed (RST)."""
        if abruptly:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()
