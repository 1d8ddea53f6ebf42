"""How the client's requests are sent: again when the service is busy, and errors as exceptions."""

from __future__ import annotations

import email.utils
import ipaddress
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

Json = dict[str, Any]
Picture = bytes | Path
"""A compressed picture: its bytes, or the file that holds it."""

BUSY = frozenset({429, 503})
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0


class ServiceUnreachable(Exception):
    """Nothing answered as HTTP wants it: not started, another address, or gone in the middle of a request."""


class ApiError(Exception):
    """The service refused.

    Attributes:
        code: stable, for programs; ``http_<status>`` if the answer is not the service's own.
        status: of HTTP.
    """

    def __init__(self, code: str, message: str, status: int, details: Mapping[str, Any], request_id: str) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status
        self.details: Json = dict(details)
        self.request_id = request_id


class HttpClient:
    """Sends requests; see :class:`serve_app.client.Client` for the arguments."""

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
        self._http = httpx.Client(
            base_url=self.url,
            headers={"X-API-Key": key} if key else {},
            timeout=httpx.Timeout(timeout_s, connect=min(timeout_s, 5.0)),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=64),
            transport=transport,
            trust_env=not _is_loopback(self.url),  # a proxy cannot reach this machine's own address
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _ask(
        self, method: str, path: str, *, query: Mapping[str, Any] | None = None, body: Mapping[str, Any] | None = None
    ) -> Json:
        return _object(self._request(method, path, params=given(query or {}), json=body))

    def _send(self, method: str, path: str, images: Sequence[tuple[str, Picture]], fields: Mapping[str, Any]) -> Json:
        if not images:
            return _object(self._request(method, path, json=given(fields)))
        files = [(name, _file(image)) for name, image in images]
        form = {name: _form_value(value) for name, value in given(fields).items()}
        return _object(self._request(method, path, data=form, files=files))

    def _request(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        deadline = time.monotonic() + self.patience_s
        wait = FIRST_WAIT_S
        while True:
            try:
                response = self._http.request(method, path, **arguments)
            except httpx.ConnectError as error:
                raise ServiceUnreachable(f"Nothing answers at {self.url} ({error}). Is the service running?") from None
            except (httpx.TransportError, httpx.InvalidURL) as error:
                reason = str(error) or type(error).__name__
                raise ServiceUnreachable(f"No answer from {self.url} to {method} {path}: {reason}") from None
            if response.is_success:
                return response
            asked_for = _retry_after(response)
            pause = min(wait if asked_for is None else asked_for, LONGEST_WAIT_S)
            if response.status_code not in BUSY or time.monotonic() + pause > deadline:
                raise _error(response)
            time.sleep(pause)
            wait = min(2 * wait, LONGEST_WAIT_S)


def _object(response: httpx.Response) -> Json:
    try:
        answer = response.json()
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise ApiError("not_facegraph", "The answer is not facegraph's; check the URL.", response.status_code, {}, "")
    return answer


def _error(response: httpx.Response) -> ApiError:
    status = response.status_code
    try:
        error = response.json()["error"]
        return ApiError(error["code"], error["message"], status, error["details"], error["request_id"])
    except (ValueError, TypeError, KeyError):
        text = response.text.strip()[:200] or response.reason_phrase
        return ApiError(f"http_{status}", f"HTTP {status}: {text}", status, {}, "")


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds, from either form that HTTP allows."""
    value = response.headers.get("Retry-After", "")
    if value.isdecimal():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None


def _file(image: Picture) -> tuple[str, bytes]:
    # Read here: a request that is sent again needs the whole content again.
    return (image.name, image.read_bytes()) if isinstance(image, Path) else ("image", image)


def _form_value(value: Any) -> Any:
    if isinstance(value, Mapping):
        return json.dumps(dict(value))
    if isinstance(value, bool):
        return "true" if value else "false"
    return list(value) if isinstance(value, list | tuple) else str(value)


def given(fields: Mapping[str, Any]) -> Json:
    return {name: value for name, value in fields.items() if value is not None}


def _is_loopback(url: str) -> bool:
    host = httpx.URL(url).host
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
