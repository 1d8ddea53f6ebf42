"""The synchronous client."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Self

import httpx

from serve_app.client.api import Api
from serve_app.client.http import Call, Json, Patience, event_of, is_final, object_of, options_of, unreachable


class Client(Api[Json, list[Json], bytes, Iterator[Json]]):
    """Synchronous client of the native API. Thread-safe; requests of several threads run at the same time.

        with Client("http://127.0.0.1:8000", key) as client:
            client.create_collection("staff")
            client.put_person("staff", "ada", [Path("ada.jpg")], name="Ada Lovelace")
            client.search(Path("probe.jpg"), ["staff"])["faces"][0]["matches"]

    Args:
        url: URL of the service, with any prefix that it is served under.
        key: an API key.
        timeout_s: timeout in seconds for each step of a request (connecting, sending, waiting for the response).
        patience_s: total seconds for which a request to a busy service (429, 503) is repeated, as its Retry-After says.
        transport: replaces the network in tests.

    Raises ValueError if the URL or the key is not valid.
    """

    def __init__(
        self,
        url: str,
        key: str = "",
        timeout_s: float = 60.0,
        *,
        patience_s: float = 60.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self.patience_s = patience_s
        self._http = httpx.Client(**options_of(self.url, key, timeout_s), transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def ready(self) -> bool:
        """Whether all stages can serve now."""
        try:
            return self._http.get("/readyz", timeout=5.0).status_code == 200
        except httpx.TransportError:
            return False

    def wait_until_ready(self, timeout_s: float = 60.0) -> bool:
        """Wait until the service is ready; False if it is not ready within ``timeout_s`` seconds."""
        deadline = time.monotonic() + timeout_s
        while not self.ready():
            if time.monotonic() >= deadline:
                return False
            time.sleep(min(0.5, timeout_s))
        return True

    def wait_for_task(
        self, task_id: str, progress: Callable[[Json], None] | None = None, period_s: float = 0.5
    ) -> Json:
        """Wait until a task is done, failed or cancelled, and return it.

        Args:
            task_id: id of the task.
            progress: called with the unfinished task after each query.
            period_s: seconds between queries.
        """
        while True:
            task = self.task(task_id)
            if is_final(task):
                return task
            if progress is not None:
                progress(task)
            time.sleep(period_s)

    # -- how requests are sent

    def _object(self, call: Call) -> Json:
        return object_of(self._send(call))

    def _list(self, call: Call, name: str) -> list[Json]:
        found: list[Json] = self._object(call)[name]
        return found

    def _bytes(self, call: Call) -> bytes:
        return self._send(call).content

    def _pages(self, page: Callable[[str | None], Json], name: str) -> Iterator[Json]:
        cursor: str | None = None
        while True:
            answer = page(cursor)
            yield from answer[name]
            cursor = answer["cursor"]
            if cursor is None:
                return

    def _events(self, call: Call) -> Iterator[Json]:
        while True:
            for task in self._stream(call):
                yield task
                if is_final(task):
                    return
            time.sleep(1.0)  # the server ends a stream from time to time

    def _stream(self, call: Call) -> Iterator[Json]:
        patience = Patience(self.patience_s)
        while True:
            try:
                with self._http.stream(call.method, call.path) as response:
                    if not response.is_success:
                        response.read()
                    pause = patience.pause(response)
                    if pause is None:
                        for line in response.iter_lines():
                            if (event := event_of(line)) is not None:
                                yield event
                        return
            except httpx.TransportError as error:
                raise unreachable(self.url, call, error) from None
            time.sleep(pause)

    def _send(self, call: Call) -> httpx.Response:
        patience = Patience(self.patience_s)
        arguments = call.encode()
        while True:
            try:
                response = self._http.request(call.method, call.path, **arguments)
            except (httpx.TransportError, httpx.InvalidURL) as error:
                raise unreachable(self.url, call, error) from None
            pause = patience.pause(response)
            if pause is None:
                return response
            time.sleep(pause)
