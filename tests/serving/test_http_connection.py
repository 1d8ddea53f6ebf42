"""Clients that send too much, too slowly or nothing, or do not read: each is ended, and the others are served."""

from __future__ import annotations

import asyncio
import json
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import uvloop

from serve_app.serving import connection_bounds
from serve_app.serving.connection_bounds import ConnectionBounds, Pace, room_for_connections
from serve_app.serving.http_server import HttpServer

SHORT = ConnectionBounds(head_s=0.6, stalled_s=0.6, look_s=0.05, dropping_s=0.3)
"""Bounds as in service, with short times."""

UNHURRIED = replace(SHORT, head_s=60, stalled_s=60)
"""For tests in which no time shall pass."""

PATIENCE_S = 60
LARGE = bytes(64 << 20)
"""More than the buffers of a connection hold."""

GET = b"GET /echo HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED = b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


def post(length: int) -> bytes:
    return b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % length


@dataclass
class App:
    """Answers ``/echo`` with the headers and the length of the body, ``/large`` with many, ``/hold`` when freed."""

    free: asyncio.Event = field(default_factory=asyncio.Event)
    begun: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    ended: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.begun.release()
        try:
            await self._answer(scope, receive, send)
        finally:
            self.ended.release()

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        length, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            length, more = length + len(message["body"]), message["more_body"]
        if scope["path"] == "/hold":
            await self.free.wait()
        headers = [[name.decode(), value.decode()] for name, value in scope["headers"]]
        body = LARGE if scope["path"] == "/large" else json.dumps({"headers": headers, "length": length}).encode()
        size = str(len(body)).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", size)]})
        await send({"type": "http.response.body", "body": body})


@dataclass
class Served:
    """A server in a thread."""

    port: int
    app: App
    loop: asyncio.AbstractEventLoop

    def connect(self, first: bytes = b"", receive_buffer: int = 0) -> socket.socket:
        client = socket.socket()
        if receive_buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        client.settimeout(PATIENCE_S)
        client.connect(("127.0.0.1", self.port))
        client.sendall(first)
        return client

    def free(self) -> None:
        self.loop.call_soon_threadsafe(self.app.free.set)


Serving = Callable[[ConnectionBounds], Served]


@pytest.fixture(params=["asyncio", "uvloop"])
def serving(request: pytest.FixtureRequest) -> Iterator[Serving]:
    """Starts servers with given bounds, on both kinds of event loop: Serve's replicas run on uvloop."""
    running: list[tuple[Served, HttpServer, threading.Thread]] = []

    def start(bounds: ConnectionBounds) -> Served:
        loop = asyncio.new_event_loop() if request.param == "asyncio" else uvloop.new_event_loop()
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        listening = socket.create_server(("127.0.0.1", 0), backlog=1000)
        listening.setblocking(False)
        app = App()

        async def serve() -> HttpServer:
            return HttpServer(app, listening, bounds=bounds)

        server = asyncio.run_coroutine_threadsafe(serve(), loop).result(PATIENCE_S)
        served = Served(listening.getsockname()[1], app, loop)
        running.append((served, server, thread))
        return served

    yield start
    for served, server, thread in running:
        served.free()
        asyncio.run_coroutine_threadsafe(server.close(), served.loop).result(PATIENCE_S)
        served.loop.call_soon_threadsafe(served.loop.stop)
        thread.join(PATIENCE_S)
        served.loop.close()


def answer_of(client: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the next answer; 0 if the connection ended without one."""
    with client.makefile("rb", buffering=0) as file:  # reads no further than the answer
        line = file.readline()
        if not line:
            return 0, {}, b""
        headers: dict[str, str] = {}
        while (header := file.readline().strip()) != b"":
            name, _, value = header.decode().partition(": ")
            headers[name] = value
        body = b""
        while piece := file.read(int(headers["content-length"]) - len(body)):
            body += piece
        return int(line.split()[1]), headers, body


def is_over(client: socket.socket) -> bool:
    """Whether the server ends the connection, instead of waiting for more."""
    with suppress(ConnectionResetError):
        while client.recv(1 << 20):
            pass
    return True


def refused(client: socket.socket) -> tuple[int, str]:
    """Status and text of the refusal that ends a connection."""
    status, headers, body = answer_of(client)
    assert headers.get("connection") == "close"
    assert is_over(client)
    return status, body.decode()


def send_endlessly(client: socket.socket, piece: bytes, most: int) -> int:
    """Send until the server ends it; returns the bytes."""
    sent = 0
    with suppress(ConnectionError):
        while sent < most:
            client.sendall(piece)
            sent += len(piece)
    return sent


@contextmanager
def still_served(served: Served) -> Iterator[None]:
    """Another client is served before and after, on one connection."""
    with served.connect() as client:
        for _ in (0, 1):
            client.sendall(GET)
            assert answer_of(client)[0] == 200
            if _ == 0:
                yield


# What is too much


@pytest.mark.parametrize(
    "piece", [b"a:b\r\n" * 10_000, b"a" * 65_536, b"a: " + b"b" * 60_000 + b"\r\n"], ids=["many", "one", "long"]
)
@pytest.mark.parametrize("start", [b"GET /echo HTTP/1.1\r\nX: ", b"GET /echo"], ids=["header", "path"])
def test_a_head_without_end_is_refused(serving: Serving, start: bytes, piece: bytes) -> None:
    served = serving(UNHURRIED)
    with still_served(served), served.connect(start) as client:
        sent = send_endlessly(client, piece, 100 << 20)
        assert sent < 40 << 20
    assert served.app.begun.acquire(timeout=PATIENCE_S)
    assert served.app.begun.acquire(timeout=PATIENCE_S)
    assert not served.app.begun.acquire(blocking=False), "only the requests of the other client reach the application"


@pytest.mark.parametrize(
    "head",
    [
        b"GET /echo HTTP/1.1\r\nX: " + b"a" * 70_000,
        b"GET /" + b"a" * 70_000,
        b"GET /echo HTTP/1.1\r\nX: " + b"a" * 65_600 + b"\r\n\r\n",
        b"GET /" + b"a" * 65_600 + b" HTTP/1.1\r\n\r\n",
        b"GET /?" + b"a" * 65_600 + b" HTTP/1.1\r\n\r\n",
        b"GET /echo HTTP/1.1\r\n" + b"a: b\r\n" * 101 + b"\r\n",
        b"GET /echo HTTP/1.1\r\n" + b"a: b\r\n" * 102,
        b"\r\n" * 40_000,
    ],
)
@pytest.mark.parametrize("used_before", [False, True])
def test_a_large_head_is_refused_in_one_piece_and_in_many(serving: Serving, head: bytes, used_before: bool) -> None:
    served = serving(UNHURRIED)
    for pieces in (1, 7):
        with served.connect() as client:
            if used_before:
                client.sendall(GET)
                assert answer_of(client)[0] == 200
            size = -(-len(head) // pieces)
            for start in range(0, len(head), size):
                client.sendall(head[start : start + size])
                time.sleep(0.002)
            status, text = refused(client)
            assert status == 431
            assert "65536 bytes" in text
            assert "100 headers" in text


def test_what_is_just_within_the_bounds_is_served(serving: Serving) -> None:
    served = serving(UNHURRIED)
    long = b"GET /echo HTTP/1.1\r\nX: " + b"a" * 65_400 + b"\r\n\r\n"
    many = b"GET /echo HTTP/1.1\r\n" + b"a: b\r\n" * 100 + b"\r\n"
    with served.connect() as client:
        for head in (long, many, long):
            client.sendall(head)
            assert answer_of(client)[0] == 200
        client.sendall((long + many) * 4)  # the heads of one read are counted apart
        for _ in range(8):
            assert answer_of(client)[0] == 200


def test_pipelined_requests_are_answered_in_order_up_to_a_number(serving: Serving) -> None:
    served = serving(replace(UNHURRIED, pipelined=4))
    with served.connect(b"".join(post(n) + b"x" * n for n in range(5)) + GET * 1000) as client:
        answers = [answer_of(client) for _ in range(5)]
        assert [json.loads(body)["length"] for _, _, body in answers] == [0, 1, 2, 3, 4]
        assert [headers.get("connection") for _, headers, _ in answers] == [None] * 4 + ["close"]
        assert is_over(client)


@pytest.mark.parametrize("broken", [b"NONSENSE\r\n\r\n", post(3)[:-4] + b"\r\nX: " + b"a" * 70_000 + b"\r\n\r\n"])
def test_a_wrong_request_behind_others_gets_no_answer_of_theirs(serving: Serving, broken: bytes) -> None:
    served = serving(UNHURRIED)
    with served.connect(GET.replace(b"/echo", b"/hold") + GET + broken) as client:
        served.app.begun.acquire(timeout=PATIENCE_S)
        served.free()
        assert [answer_of(client)[0] for _ in range(3)] == [200, 200, 0]


# Trailers and upgrades


@pytest.mark.parametrize("late", [False, True])
def test_trailers_are_no_headers(serving: Serving, late: bool) -> None:
    served = serving(UNHURRIED)
    with served.connect() as client:
        for _ in (0, 1):
            client.sendall(CHUNKED + b"3\r\nabc\r\n" * (not late))
            if late:
                assert served.app.begun.acquire(timeout=PATIENCE_S)
            client.sendall(b"0\r\nX-API-Key: secret\r\nX-Other: b\r\n\r\n")
            status, _, body = answer_of(client)
            assert status == 200
            assert [name for name, _ in json.loads(body)["headers"]] == ["host", "transfer-encoding"]


@pytest.mark.parametrize(
    "piece",
    [b"a: b\r\n" * 5_000, b"a" * 30_000, b"c" * 30_000 + b": d\r\n"],
    ids=["many", "one", "long"],
)
@pytest.mark.parametrize("start", [b"0\r\n", b"3;"], ids=["trailers", "chunk extension"])
def test_trailers_and_chunk_extensions_without_end_are_refused(serving: Serving, start: bytes, piece: bytes) -> None:
    served = serving(UNHURRIED)
    with still_served(served), served.connect(CHUNKED + start) as client:
        assert send_endlessly(client, piece, 100 << 20) < 40 << 20
    for _ in range(3):
        assert served.app.ended.acquire(timeout=PATIENCE_S)


def test_many_small_chunks_are_served(serving: Serving) -> None:
    served = serving(UNHURRIED)
    with served.connect(CHUNKED + b"1\r\na\r\n" * 100_000 + b"0\r\n\r\n" + GET) as client:
        assert json.loads(answer_of(client)[2])["length"] == 100_000
        assert answer_of(client)[0] == 200


@pytest.mark.parametrize("protocol", [b"websocket", b"h2c"])
def test_requests_to_upgrade_are_served_as_http_1(serving: Serving, protocol: bytes) -> None:
    served = serving(UNHURRIED)
    upgrade = b"Connection: Upgrade\r\nUpgrade: %b\r\nSec-WebSocket-Key: aaaa\r\n" % protocol
    with served.connect(GET[:-2] + upgrade + b"\r\n" + GET) as client:
        status, headers, _ = answer_of(client)
        assert (status, headers["connection"]) == (200, "close")
        assert is_over(client)
    with served.connect(post(3)[:-2] + upgrade + b"\r\n") as client:
        assert refused(client)[0] == 400


def test_blanks_at_the_end_of_a_header_are_no_part_of_it(serving: Serving) -> None:
    served = serving(UNHURRIED)
    with served.connect(b"GET /echo HTTP/1.1\r\nX-API-Key: \t a b \t \r\nX-Empty:  \r\n\r\n") as client:
        headers = json.loads(answer_of(client)[2])["headers"]
    assert headers == [["x-api-key", "a b"], ["x-empty", ""]]


# What is too slow


@pytest.mark.parametrize(
    ("start", "status"),
    [(b"", 0), (b"\r\n", 0), (b"G", 408), (b"GET / HTTP/1.1\r\nHost: x\r\n", 408), (b"GET / HTTP/1.1\r\nX", 408)],
)
@pytest.mark.parametrize("used_before", [False, True])
def test_a_head_that_is_not_completed_ends_the_connection(
    serving: Serving, start: bytes, status: int, used_before: bool
) -> None:
    if used_before and not start:
        pytest.skip("that is an idle connection")
    served = serving(SHORT)
    with still_served(served), served.connect() as client:
        if used_before:
            client.sendall(GET)
            assert answer_of(client)[0] == 200
        began = time.monotonic()
        client.sendall(start)
        assert answer_of(client)[0] == status
        assert time.monotonic() - began >= SHORT.head_s * 0.9
        assert is_over(client)


def answer_while_sending(client: socket.socket, piece: bytes) -> bytes:
    """The beginning of the answer that comes while the client sends a piece again and again."""
    client.settimeout(0.05)
    answer = b""
    while not answer:
        client.sendall(piece)
        with suppress(TimeoutError):
            answer = client.recv(1000)
    return answer


def test_a_head_that_trickles_ends_the_connection(serving: Serving) -> None:
    served = serving(SHORT)
    with served.connect(b"GET / HTTP/1.1\r\nX: ") as client:
        assert answer_while_sending(client, b"a").startswith(b"HTTP/1.1 408")


def test_idle_connections_are_kept_longer_than_a_head_may_take(serving: Serving) -> None:
    served = serving(SHORT)
    with served.connect(GET) as client:
        assert answer_of(client)[0] == 200
        time.sleep(3 * SHORT.head_s)
        client.sendall(GET)
        assert answer_of(client)[0] == 200


@pytest.mark.parametrize("start", [post(1000), post(1000) + b"abc", CHUNKED, CHUNKED + b"3\r\nab", CHUNKED + b"0\r\na"])
def test_a_body_that_stalls_ends_the_request(serving: Serving, start: bytes) -> None:
    served = serving(SHORT)
    with still_served(served), served.connect(start) as client:
        status, text = refused(client)
        assert status == 408
        assert "1024 bytes per second" in text
    for _ in range(3):
        assert served.app.ended.acquire(timeout=PATIENCE_S)


@pytest.mark.parametrize("quick", [b"", b"x" * 1_000_000])
def test_a_body_below_the_least_rate_ends_the_request(serving: Serving, quick: bytes) -> None:
    served = serving(SHORT)
    with served.connect(post(2_000_000) + quick) as client:
        assert answer_while_sending(client, b"x").startswith(b"HTTP/1.1 408")


def test_a_slow_body_above_the_least_rate_is_served(serving: Serving) -> None:
    served = serving(SHORT)
    with served.connect(post(8000)) as client:
        for _ in range(40):
            client.sendall(b"x" * 200)
            time.sleep(0.05)
        assert json.loads(answer_of(client)[2])["length"] == 8000


def test_a_body_that_the_service_does_not_read_is_not_slow(serving: Serving) -> None:
    served = serving(SHORT)
    head = post(300_000).replace(b"Host: x", b"Host: x\r\nExpect: 100-continue")
    with served.connect(head) as client:
        assert client.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"x" * 300_000)
        assert answer_of(client)[0] == 200


def test_a_client_that_does_not_read_its_answer_is_cut_off(serving: Serving) -> None:
    served = serving(SHORT)
    with still_served(served), served.connect(GET.replace(b"/echo", b"/large"), receive_buffer=4096) as client:
        time.sleep(4 * SHORT.stalled_s)
        received = 0
        with suppress(ConnectionResetError):
            while piece := client.recv(1 << 20):
                received += len(piece)
        assert received < len(LARGE)


def test_a_client_that_reads_slowly_gets_its_answer(serving: Serving) -> None:
    served = serving(SHORT)
    with served.connect(GET.replace(b"/echo", b"/large"), receive_buffer=65_536) as client:
        until = time.monotonic() + 4 * SHORT.stalled_s
        received = 0
        while time.monotonic() < until:
            received += len(client.recv(20_000))
            time.sleep(0.02)
        while received < len(LARGE):
            piece = client.recv(1 << 20)
            assert piece, "cut off"
            received += len(piece)


# How many


def test_the_oldest_idle_connection_makes_room(serving: Serving) -> None:
    served = serving(replace(UNHURRIED, connections=4))
    with (
        served.connect(GET.replace(b"/echo", b"/hold")) as busy,
        served.connect(post(10) + b"a") as uploading,
        served.connect(GET) as oldest,
        served.connect(GET) as younger,
    ):
        assert served.app.begun.acquire(timeout=PATIENCE_S)
        for each in (oldest, younger):
            assert answer_of(each)[0] == 200
        oldest.sendall(GET)  # used again, so that the other one is the oldest now
        assert answer_of(oldest)[0] == 200
        with served.connect(GET) as new:
            assert answer_of(new)[0] == 200
            assert is_over(younger)
            with served.connect(GET) as next_one:
                assert answer_of(next_one)[0] == 200
                assert is_over(oldest)
        uploading.sendall(b"a" * 9)
        assert answer_of(uploading)[0] == 200
        served.free()
        assert answer_of(busy)[0] == 200


def test_after_the_idle_ones_the_oldest_upload_makes_room_and_then_new_ones_are_refused(serving: Serving) -> None:
    served = serving(replace(UNHURRIED, connections=2))
    hold = GET.replace(b"/echo", b"/hold")
    with ExitStack() as stack:
        connect = lambda start: stack.enter_context(served.connect(start))  # noqa: E731
        uploads = [connect(post(10)) for _ in range(2)]
        for _ in range(2):
            assert served.app.begun.acquire(timeout=PATIENCE_S)
        busy = []
        for upload in (*uploads, None):  # the third one is beyond the bound, which nobody can make room for
            busy.append(connect(hold))
            assert served.app.begun.acquire(timeout=PATIENCE_S)
            if upload is not None:
                assert refused(upload)[0] == 503
        status, headers, _ = answer_of(connect(b""))
        assert (status, headers["retry-after"]) == (503, "1")
        served.free()
        assert [answer_of(each)[0] for each in busy] == [200] * 3
        assert [is_over(each) for each in busy[:1]] == [True], "the bound holds again"
        for each in busy[1:]:
            each.sendall(GET)
            assert answer_of(each)[0] == 200


def test_hundreds_of_half_requests_keep_nobody_out(serving: Serving) -> None:
    served = serving(replace(UNHURRIED, connections=50))
    held = [served.connect(start) for start in (b"", b"GET", post(10), CHUNKED, GET) for _ in range(80)]
    with served.connect(GET) as client:
        assert answer_of(client)[0] == 200
    for each in held:
        each.close()


def test_the_work_of_a_client_that_left_is_cancelled_also_when_it_sent_more_requests(serving: Serving) -> None:
    served = serving(UNHURRIED)
    with served.connect(GET.replace(b"/echo", b"/hold") + GET + GET):
        assert served.app.begun.acquire(timeout=PATIENCE_S)
    assert served.app.ended.acquire(timeout=PATIENCE_S)


def test_a_pause_of_the_whole_process_is_nobody_s_fault(serving: Serving) -> None:
    served = serving(SHORT)
    with served.connect(post(6)) as client:
        assert served.app.begun.acquire(timeout=PATIENCE_S)
        served.loop.call_soon_threadsafe(time.sleep, 3 * SHORT.stalled_s)
        client.sendall(b"abcdef")
        assert answer_of(client)[0] == 200


# The bounds


def test_pace() -> None:
    bounds = ConnectionBounds(stalled_s=10, bytes_per_second=100)
    pace = Pace(bounds, 0, 0)
    assert [pace.too_slow(now, moved) for now, moved in [(1, 1), (9, 999), (10, 1000), (12, 1500)]] == [False] * 4
    assert not pace.too_slow(19, 1500)
    assert Pace(bounds, 0, 50).too_slow(10, 1049)
    assert pace.too_slow(22, 1500), "nothing came since 12"


def test_half_of_the_free_descriptors_are_left_to_files(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = [1000, 5000]
    monkeypatch.setattr(resource, "getrlimit", lambda _: tuple(limits))
    monkeypatch.setattr(resource, "setrlimit", lambda _, new: limits.__setitem__(slice(None), new))
    monkeypatch.setattr(connection_bounds, "open_descriptors", lambda: 200)
    assert room_for_connections(100, connected=50) == 100
    assert limits == [1000, 5000]
    assert room_for_connections(1000, connected=50) == 1000
    assert limits == [2150, 5000], "the soft limit is raised as far as it is needed"
    assert room_for_connections(100_000, connected=0) == 2400
    assert limits == [5000, 5000]
