"""Heads of requests without end, and what else stands beside a body: trailers, extensions of chunks."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, repeat

from scripts.attack.attacker import Attack, chunked, request
from scripts.attack.inputs import ANYBODY, MB, SEARCH, Input, Make, Run, at_once, repeated
from scripts.attack.target import Target

START = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
FACEPP = "POST /facepp/v3/detect HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
REFUSED = frozenset({"400", "413", "414", "431", "closed"})


def endless(start: bytes, piece: bytes, size: int, end: bytes = b"\r\n\r\n") -> Make:
    """A start, a piece again and again until there are ``size`` bytes, and an end."""
    block = piece * (2**16 // len(piece))
    return lambda _: chain([start], repeat(block, size // len(block)), [end])


def trailers(size: int) -> Make:
    """A chunked body with a number of bytes of trailers."""
    return endless(chunked(FACEPP, b"a=b") + b"0\r\n", b"a:b\r\n", size, b"\r\n")


def extensions(size: int) -> Make:
    """A chunk whose extension has a number of bytes."""
    return endless(chunked(FACEPP) + b"1;", b"a", size, b"\r\na\r\n0\r\n\r\n")


def tiny_chunks(number: int) -> Make:
    """A body in chunks of one byte."""
    return endless(chunked(FACEPP), b"1\r\na\r\n", number * 6, b"0\r\n\r\n")


def key_in_trailer(target: Target) -> Iterator[bytes]:
    """A key that comes after the body."""
    head = "GET /v1/collections HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    yield chunked(head, b"x") + f"0\r\nX-API-Key: {target.search}\r\n\r\n".encode()


def two_keys(target: Target) -> Iterator[bytes]:
    """Two different keys."""
    yield request("GET", "/v1/collections", key=target.search, more=f"X-API-Key: {target.enroll}\r\n")


def unknown_paths(number: int) -> Run:
    """Requests for paths that do not exist, each another one."""

    async def run(attack: Attack) -> None:
        for name in range(number):
            await attack.exchange([request("GET", f"/{name:x}/{'a' * 2000}")])

    return run


def queries(path: str, text: str, times: int) -> Run:
    """Requests with a long query, below the limit of a head."""
    return repeated(times, lambda _: [request("GET", f"{path}?{text}")], connections=8)


INPUTS = (
    Input(
        "the shortest headers, 20 MB",
        ANYBODY,
        at_once(1, endless(START, b"a:b\r\n", 20 * MB)),
        at_once(1, endless(START, b"a:b\r\n", 4 * MB)),
        answers=REFUSED,
    ),
    Input(
        "the shortest headers, 8 connections of 20 MB",
        ANYBODY,
        at_once(8, endless(START, b"a:b\r\n", 20 * MB)),
        answers=REFUSED,
    ),
    Input(
        "one header of 64 MB",
        ANYBODY,
        at_once(1, endless(START + b"X-API-Key: ", b"a", 64 * MB)),
        at_once(1, endless(START + b"X-API-Key: ", b"a", 8 * MB)),
        answers=REFUSED,
    ),
    Input(
        "a name of a header of 64 MB",
        ANYBODY,
        at_once(1, endless(START, b"a", 64 * MB, b":b\r\n\r\n")),
        answers=REFUSED,
    ),
    Input(
        "a path of 64 MB",
        ANYBODY,
        at_once(1, endless(b"GET /", b"a", 64 * MB, b" HTTP/1.1\r\nHost: x\r\n\r\n")),
        at_once(1, endless(b"GET /", b"a", 8 * MB, b" HTTP/1.1\r\nHost: x\r\n\r\n")),
        answers=REFUSED,
    ),
    Input(
        "a query of 16 MB",
        ANYBODY,
        at_once(1, endless(b"GET /v1/info?", b"a=1&", 16 * MB, b" HTTP/1.1\r\nHost: x\r\n\r\n")),
        at_once(1, endless(b"GET /v1/info?", b"a=1&", 2 * MB, b" HTTP/1.1\r\nHost: x\r\n\r\n")),
        answers=REFUSED,
    ),
    Input("a method of 64 MB", ANYBODY, at_once(1, endless(b"", b"A", 64 * MB)), answers=REFUSED),
    Input(
        "200 headers",
        ANYBODY,
        at_once(1, lambda _: [request("GET", "/healthz", more="a: b\r\n" * 200)]),
        at_once(1, lambda _: [request("GET", "/healthz", more="a: b\r\n" * 200)]),
        answers=REFUSED,
    ),
    Input(
        "64 MB of empty lines before a request", ANYBODY, at_once(1, endless(b"", b"\r\n", 64 * MB, START + b"\r\n"))
    ),
    Input(
        "queries of 60 KB of separators, to every kind of path",
        ANYBODY,
        queries("/v1/info", "&" * 60_000, 40),
        queries("/v1/info", "&" * 60_000, 2),
    ),
    Input("queries of 60 KB of fields", ANYBODY, queries("/readyz", "a=1&" * 15_000, 40)),
    Input("trailers of 20 MB", ANYBODY, at_once(1, trailers(20 * MB)), at_once(1, trailers(4 * MB))),
    Input("an extension of a chunk of 20 MB", ANYBODY, at_once(1, extensions(20 * MB)), at_once(1, extensions(4 * MB))),
    Input("a million chunks of one byte", ANYBODY, at_once(1, tiny_chunks(10**6)), at_once(1, tiny_chunks(10**5))),
    Input(
        "a key in a trailer",
        SEARCH,
        at_once(1, key_in_trailer),
        at_once(1, key_in_trailer),
        answers=frozenset({"400", "401"}),
    ),
    Input("two keys", SEARCH, at_once(1, two_keys), at_once(1, two_keys), answers=frozenset({"400"})),
    Input("2,000 paths that do not exist", ANYBODY, unknown_paths(2000), unknown_paths(50)),
)
