"""Circuit breaker: after a call that timed out, calls fail at once until a probe gets an answer."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from serve_app.gallery.index import circuit_breaker
from serve_app.gallery.index.circuit_breaker import CircuitBreaker, IndexUnavailable


class Server:
    """A server that answers unless it is ``away``; ``clock`` is the time in seconds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock, self.away, self.asked = 0.0, False, 0
        monkeypatch.setattr(circuit_breaker, "time", SimpleNamespace(monotonic=lambda: self.clock))
        self.calls = CircuitBreaker(self.ask, timeout_s=20)

    def ask(self, timeout_s: float) -> None:
        self.asked += 1
        self._answer(timeout_s)

    def call(self) -> None:
        with self.calls.guard():
            self._answer(20)

    def _answer(self, timeout_s: float) -> None:
        if self.away:
            self.clock += timeout_s
            raise OSError("no answer")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    return Server(monkeypatch)


def fails_after(server: Server) -> float:
    began = server.clock
    with pytest.raises(IndexUnavailable, match="does not answer"):
        server.call()
    return server.clock - began


def test_only_the_first_call_waits_in_vain(server: Server) -> None:
    server.call()
    assert not server.calls.failed
    server.away = True
    assert [fails_after(server) for _ in range(3)] == [20, 0, 0]
    assert server.calls.failed
    assert server.asked == 0
    with pytest.raises(IndexUnavailable):
        server.calls.probe()
    server.away = False
    assert fails_after(server) == 0
    server.calls.probe()
    server.call()
    assert server.asked == 2


def test_without_house_keeping_a_caller_asks(server: Server) -> None:
    server.away = True
    assert fails_after(server) == 20
    server.clock += circuit_breaker.PROBE_OVERDUE_S
    assert fails_after(server) == circuit_breaker.PROBE_S
    assert fails_after(server) == 0
    server.clock += circuit_breaker.PROBE_OVERDUE_S
    server.away = False
    server.call()
    assert server.asked == 2


def test_a_refusal_is_not_silence(server: Server) -> None:
    for _ in range(2):
        with pytest.raises(IndexUnavailable), server.calls.guard():
            raise OSError("no such collection")
    assert server.calls.failed
    server.call()
    server.calls.probe()
    assert server.asked == 0


def test_one_caller_asks_at_a_time(server: Server) -> None:
    server.away = True
    assert fails_after(server) == 20
    server.clock += circuit_breaker.PROBE_OVERDUE_S
    asking, answer = threading.Event(), threading.Event()

    def slowly(timeout_s: float) -> None:
        asking.set()
        answer.wait()

    server.calls._ping = slowly
    server.away = False
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(server.call)
        asking.wait()
        assert fails_after(server) == 0
        answer.set()
        first.result()
    server.call()
