"""Connections: such as send nothing, half a head, or do not read what is answered. Nobody needs a key for these."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import repeat

from scripts.attack.attacker import Attack, request
from scripts.attack.inputs import ANYBODY, Input, Run, at_once
from scripts.attack.target import Target

TLS_HELLO = bytes.fromhex("16030100a5010000a10303") + bytes(154)
HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9)
HELD_S = 20.0
"""The attacker stays for this long: the service has ended what makes no progress before."""


def silent(number: int, first: bytes = b"") -> Run:
    """Connections that send nothing after their first bytes."""
    return at_once(number, lambda _: (first,) if first else ())


def slow_heads(number: int, pause_s: float = 0.5) -> Run:
    """Heads that come byte by byte and never end."""

    def pieces(_: Target) -> Iterator[bytes]:
        yield b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: "
        yield from repeat(b"a")

    return at_once(number, pieces, pause_s=pause_s)


def idle_after_answer(number: int) -> Run:
    """Connections that stay open after one answer, as those of ordinary clients do."""
    return at_once(number, lambda _: (b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",), waits=True)


def unread(number: int, requests: int, path: str = "/openapi.json") -> Run:
    """Pipelined requests whose answers are not read."""
    one = f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    return at_once(number, lambda _: (one * requests,), reads=False)


def resets(number: int, abreast: int = 50) -> Run:
    """Connections that are reset after half a request."""
    half = request("POST", "/v1/search", b"", key="x", kind="application/json", length=10**6)

    async def run(attack: Attack) -> None:
        for _ in range(number // abreast):
            await asyncio.gather(*(attack.reset(half) for _ in range(abreast)))

    return run


INPUTS = (
    Input("connections that send nothing", ANYBODY, silent(1500), silent(200), HELD_S, ends=True),
    Input("half a request line", ANYBODY, silent(500, b"GET /healthz HT"), silent(50, b"GET /he"), HELD_S, ends=True),
    Input(
        "a head without its end",
        ANYBODY,
        silent(500, b"GET /healthz HTTP/1.1\r\nHost: x\r\n"),
        silent(50, b"GET /healthz HTTP/1.1\r\nHost: x\r\n"),
        HELD_S,
        ends=True,
    ),
    Input("heads byte by byte", ANYBODY, slow_heads(200), slow_heads(20), HELD_S, ends=True),
    Input(
        "connections kept open after an answer", ANYBODY, idle_after_answer(1500), idle_after_answer(200), waits=True
    ),
    Input("answers that are not read", ANYBODY, unread(64, 50), unread(16, 20), waits=True),
    Input("20,000 pipelined health checks, unread", ANYBODY, unread(1, 20_000, "/healthz")),
    Input("connections that are reset", ANYBODY, resets(3000), resets(300)),
    Input("TLS to the plain port", ANYBODY, silent(100, TLS_HELLO), silent(10, TLS_HELLO), HELD_S, ends=True),
    Input(
        "HTTP/2 to the plain port", ANYBODY, silent(100, HTTP2_PREFACE), silent(10, HTTP2_PREFACE), HELD_S, ends=True
    ),
)
