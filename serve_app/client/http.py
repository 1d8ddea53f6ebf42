"""HTTP parts that both clients share: encoding of requests, retries, and errors as exceptions."""

from __future__ import annotations

import email.utils
import ipaddress
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

Json = dict[str, Any]
Picture = bytes | Path
"""A compressed image: its bytes, or the path of a file."""

BUSY = frozenset({429, 503})
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0


class ServiceUnreachable(Exception):
    """No valid HTTP response: the service is not running, not at this address, or was lost during the request."""


class ApiError(Exception):
    """The service answered with an error.

    Attributes:
        code: stable error code; ``http_<status>`` if the response is not the service's own.
        message: explanation for people.
        status: HTTP status.
        details: facts for programs.
        request_id: id of the request in the service's log.
    """

    def __init__(self, code: str, message: str, status: int, details: Mapping[str, Any], request_id: str) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status
        self.details: Json = dict(details)
        self.request_id = request_id


@dataclass(frozen=True, slots=True)
class Call:
    """One request, before files are read and anything is sent.

    Attributes:
        query: query parameters of the URL.
        body: fields; sent as JSON, or as a form if there are images.
        pictures: images as (form field, image).
        upload: a zip or JSON lines, in place of fields and images.
    """

    method: str
    path: str
    query: Mapping[str, Any] | None = None
    body: Mapping[str, Any] | None = None
    pictures: Sequence[tuple[str, Picture]] = ()
    upload: Picture | None = None

    @property
    def reads_files(self) -> bool:
        """Whether :meth:`encode` can block on a disk."""
        return bool(self.pictures) or self.upload is not None

    def encode(self) -> Json:
        """Arguments for httpx. Files are read completely, since a repeated request needs their content again."""
        arguments: Json = {"params": given(self.query or {})}
        if self.upload is not None:
            content = _file(self.upload)[1]
            kind = "application/zip" if content.startswith(b"PK") else "application/x-ndjson"
            arguments |= {"content": content, "headers": {"Content-Type": kind}}
        elif self.pictures:
            arguments["data"] = {name: _form_value(value) for name, value in given(self.body or {}).items()}
            arguments["files"] = [(name, _file(picture)) for name, picture in self.pictures]
        elif self.body is not None:
            arguments["json"] = self.body
        return arguments


class Patience:
    """Retry policy of one request: pauses as Retry-After says, else longer each time, but at most 30 s.

    A pause that would exceed the total time for retries, ``seconds``, ends them.
    """

    def __init__(self, seconds: float) -> None:
        self._deadline = time.monotonic() + seconds
        self._wait = FIRST_WAIT_S

    def pause(self, response: httpx.Response) -> float | None:
        """Seconds until the request must be repeated; None if the response is a success. Raises ApiError."""
        if response.is_success:
            return None
        asked_for = _retry_after(response)
        pause = min(self._wait if asked_for is None else asked_for, LONGEST_WAIT_S)
        if response.status_code not in BUSY or time.monotonic() + pause > self._deadline:
            raise error_of(response)
        self._wait = min(2 * self._wait, LONGEST_WAIT_S)
        return pause


def options_of(url: str, key: str, timeout_s: float) -> Json:
    """Arguments for httpx's clients. Raises ValueError for an invalid URL or key."""
    url = url.strip()
    try:
        host = httpx.URL(url).host
        host.encode("idna")  # as the look-up of the name does
    except (httpx.InvalidURL, UnicodeError) as error:
        raise ValueError(f"{url[:200]!r} is no URL: {error}") from None
    return {
        "base_url": url,
        "headers": _key_header(key),
        "timeout": httpx.Timeout(timeout_s, connect=min(timeout_s, 5.0)),
        "limits": httpx.Limits(max_connections=None, max_keepalive_connections=64),
        "trust_env": not _is_loopback(host),  # a proxy cannot reach this machine's own address
    }


def _key_header(key: str) -> dict[str, str]:
    key = key.strip()  # a key in a file often ends in a line break
    if not (key.isascii() and key.isprintable()):  # httpx would put the key into its message
        raise ValueError("an API key consists of printable ASCII characters, this one has others")
    return {"X-API-Key": key} if key else {}


def object_of(response: httpx.Response) -> Json:
    """The JSON object of a response. Raises ApiError if the response is something else."""
    try:
        answer = response.json()
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        message = "Expected a JSON object, got something else: this is not facegraph's API, check the URL."
        raise ApiError("not_facegraph", message, response.status_code, {}, "")
    return answer


def event_of(line: str) -> Json | None:
    """The JSON object in a line of an event stream; None if the line has none."""
    if not line.startswith("data:"):
        return None
    event: Json = json.loads(line.removeprefix("data:"))
    return event


def is_final(task: Json) -> bool:
    """Whether a task has ended."""
    return task["state"] not in ("waiting", "running")


def error_of(response: httpx.Response) -> ApiError:
    """The exception for an error response."""
    status = response.status_code
    try:
        error = response.json()["error"]
        return ApiError(error["code"], error["message"], status, error["details"], error["request_id"])
    except (ValueError, TypeError, KeyError):
        text = response.text.strip()[:200] or response.reason_phrase
        return ApiError(f"http_{status}", f"HTTP {status}: {text}", status, {}, "")


def unreachable(url: str, call: Call, error: Exception) -> ServiceUnreachable:
    """The exception for a request without a response."""
    if isinstance(error, httpx.ConnectError):
        return ServiceUnreachable(f"No service answers at {url} ({error}). Is the service running?")
    reason = str(error) or type(error).__name__
    return ServiceUnreachable(f"No answer from {url} to {call.method} {call.path}: {reason}")


def given(fields: Mapping[str, Any]) -> Json:
    """The fields that are not None."""
    return {name: value for name, value in fields.items() if value is not None}


def _retry_after(response: httpx.Response) -> float | None:
    """The Retry-After header in seconds, from either form that HTTP allows; None without a valid one."""
    value = response.headers.get("Retry-After", "")
    if value.isdecimal():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None


def _file(image: Picture) -> tuple[str, bytes]:
    return (image.name, image.read_bytes()) if isinstance(image, Path) else ("image", image)


def _form_value(value: Any) -> Any:
    if isinstance(value, Mapping):
        return json.dumps(dict(value))
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, list | tuple):
        return str(value)
    # A form's texts are split at commas, and blanks at their ends are removed; a JSON array stays as it is.
    plain = value and all(
        isinstance(item, str) and item and item == item.strip() and {",", "["}.isdisjoint(item) for item in value
    )
    return list(value) if plain else json.dumps(list(value))


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
