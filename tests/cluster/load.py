"""Clients that search without a pause or a second attempt, and count the answers."""

from __future__ import annotations

import threading
import time
from collections import Counter
from types import TracebackType

from tests import photos
from tests.cluster.nodes import Cluster


class Load:
    """Runs while the block does.

    Attributes:
        answers: by HTTP status, or by the name of the error of a broken connection.
        failures: when those were that are no 200, in seconds since the beginning, and what they were.
        slowest_s: the longest that a 200 took.
        started: when it began, by :func:`time.monotonic`.
    """

    def __init__(self, cluster: Cluster, clients: int = 3) -> None:
        self.answers: Counter[str] = Counter()
        self.failures: list[tuple[float, str]] = []
        self.slowest_s = 0.0
        self._cluster = cluster
        self._photo = photos.astronaut()
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(clients)]
        self._lock = threading.Lock()
        self.started = time.monotonic()

    def _run(self) -> None:
        with self._cluster.client() as api:
            while not self._stopping.is_set():
                began = time.monotonic()
                try:
                    answer = api.post(
                        "/v1/search", files={"image": ("a.jpg", self._photo)}, data={"collections": "staff"}
                    )
                except Exception as error:  # what a client meets, whatever it is
                    got, said = type(error).__name__, str(error)
                else:
                    got, said = str(answer.status_code), answer.text[:200]
                    if (
                        answer.status_code == 200
                        and answer.json()["faces"][0]["matches"][0]["person"]["id"] != "collins"
                    ):
                        got, said = "wrong person", answer.text[:500]
                with self._lock:
                    self.answers[got] += 1
                    if got == "200":
                        self.slowest_s = max(self.slowest_s, time.monotonic() - began)
                    else:
                        self.failures.append((began - self.started, f"{got}: {said}"))

    def wait_for(self, answers: int, timeout_s: float = 120) -> None:
        """Wait until this number of further requests was answered with 200."""
        target, deadline = self.answers["200"] + answers, time.monotonic() + timeout_s
        while self.answers["200"] < target:
            assert time.monotonic() < deadline, f"{self.answers}: {self.failures[-3:]}"
            time.sleep(0.05)

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(70)

    def __str__(self) -> str:
        seconds = time.monotonic() - self.started
        total = sum(self.answers.values())
        return f"{total} requests in {seconds:.0f} s: {dict(self.answers)}; the slowest 200 took {self.slowest_s:.1f} s"
