"""A small synchronous client of the native API, used by the command line and the benchmarks.

    with Client("http://127.0.0.1:8000", key) as client:
        client.create_collection("staff")
        client.put_person("staff", "ada", [Path("ada.jpg")], name="Ada Lovelace")
        client.search(Path("probe.jpg"), ["staff"])["faces"][0]["matches"]

Answers are the service's JSON objects as plain dictionaries; /docs of the running service describes each.
"""

from __future__ import annotations

import email.utils
import ipaddress
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import quote

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


class Client:
    """The native API. Thread-safe; requests of several threads run at the same time.

    Args:
        url: of the service, with any prefix it is served under.
        key: an API key.
        timeout_s: for each step of a request (connecting, sending, waiting for the answer).
        patience_s: a busy service (429, 503) is asked again, as its Retry-After says, for so long altogether.
        transport: instead of the network, for tests.
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

    # -- collections

    def create_collection(self, name: str, **fields: Any) -> Json:
        """Fields: title, description, kind, tags, user_data, policy."""
        return self._ask("POST", "/v1/collections", body={"name": name, **fields})

    def collection(self, name: str) -> Json:
        """One collection with its policy and counts."""
        return self._ask("GET", f"/v1/collections/{_part(name)}")

    def collections(self, q: str = "", limit: int = 100, cursor: str | None = None) -> Json:
        """A page: ``{collections, cursor}``."""
        return self._ask("GET", "/v1/collections", query={"q": q, "limit": limit, "cursor": cursor})

    def update_collection(self, collection: str, /, **changes: Any) -> Json:
        """Change what is given; ``name`` renames."""
        return self._ask("PATCH", f"/v1/collections/{_part(collection)}", body=changes)

    def delete_collection(self, name: str, *, only_if_empty: bool = False) -> Json:
        """Also erases persons and faces that are in no other collection."""
        query = {"only_if_empty": only_if_empty}
        return self._ask("DELETE", f"/v1/collections/{_part(name)}", query=query)

    # -- persons and faces

    def put_person(self, collection: str, person_id: str, images: Sequence[Picture] = (), **fields: Any) -> Json:
        """Create or update a person, with all pictures or none.

        Fields: those of a person (name, metadata ...), and mode, faces, liveness, image_storage, must_be_new. In an
        error about a picture, ``details["image"]`` is its position from 0.
        """
        path = f"/v1/collections/{_part(collection)}/persons/{_part(person_id)}"
        return self._send("PUT", path, [("image", image) for image in images], fields)

    def person(self, collection: str, person_id: str) -> Json:
        """One person with the enrolled faces."""
        return self._ask("GET", f"/v1/collections/{_part(collection)}/persons/{_part(person_id)}")

    def persons(self, collection: str, q: str = "", limit: int = 100, cursor: str | None = None) -> Json:
        """A page: ``{persons, cursor}``."""
        query = {"q": q, "limit": limit, "cursor": cursor}
        return self._ask("GET", f"/v1/collections/{_part(collection)}/persons", query=query)

    def all_persons(self, collection: str, q: str = "") -> Iterator[Json]:
        """Every person, by id, fetched page by page."""
        cursor: str | None = None
        while True:
            page = self.persons(collection, q, 1000, cursor)
            yield from page["persons"]
            cursor = page["cursor"]
            if cursor is None:
                return

    def delete_person(self, collection: str, person_id: str) -> Json:
        """Take a person out of a collection, and erase them if that was the last one."""
        return self._ask("DELETE", f"/v1/collections/{_part(collection)}/persons/{_part(person_id)}")

    def add_faces(self, collection: str, person_id: str, images: Sequence[Picture], **fields: Any) -> Json:
        """Add one face for each picture to a person who exists; fields: liveness, reject_below ..."""
        path = f"/v1/collections/{_part(collection)}/persons/{_part(person_id)}/faces"
        return self._send("POST", path, [("image", image) for image in images], fields)

    def delete_face(self, collection: str, person_id: str, face_id: str) -> Json:
        """Erase one face of a person."""
        path = f"/v1/collections/{_part(collection)}/persons/{_part(person_id)}/faces/{_part(face_id)}"
        return self._ask("DELETE", path)

    def face_image(self, face_id: str, kind: Literal["thumbnail", "photograph"] = "thumbnail") -> bytes:
        """The stored picture of a face."""
        return self._request("GET", f"/v1/faces/{_part(face_id)}/image", params={"kind": kind}).content

    # -- pictures

    def search(self, image: Picture, collections: Sequence[str], **options: Any) -> Json:
        """Who is on a picture; options: max_results, min_score or fpir, faces, liveness."""
        return self._send("POST", "/v1/search", [("image", image)], {"collections": list(collections), **options})

    def search_face(self, face_id: str, collections: Sequence[str], **options: Any) -> Json:
        """Who looks like an enrolled face; options: max_results, min_score or fpir."""
        body = {"face_id": face_id, "collections": list(collections), **_given(options)}
        return self._ask("POST", "/v1/search", body=body)

    def detect(self, image: Picture, **options: Any) -> Json:
        """All faces of a picture; options: max_faces, liveness."""
        return self._send("POST", "/v1/detect", [("image", image)], options)

    def compare(self, first: Picture, second: Picture, **options: Any) -> Json:
        """Two pictures' largest faces; options: min_score, liveness."""
        return self._send("POST", "/v1/compare", [("image1", first), ("image2", second)], options)

    def verify(self, image: Picture, person_id: str, **options: Any) -> Json:
        """A picture's largest face against one person; options: collection, min_score, liveness."""
        return self._send("POST", "/v1/verify", [("image", image)], {"person_id": person_id, **options})

    def liveness(self, image: Picture, **options: Any) -> Json:
        """Whether the one person on a picture is live; options: threshold."""
        return self._send("POST", "/v1/liveness", [("image", image)], options)

    def embed(self, image: Picture, **options: Any) -> Json:
        """Templates of a picture's faces; options: faces."""
        return self._send("POST", "/v1/embed", [("image", image)], options)

    # -- keys and the service itself

    def create_key(self, name: str, role: str, expires: str | None = None, rate_limit: float | None = None) -> Json:
        """A new key with its ``secret``, which is answered this once."""
        fields = {"name": name, "role": role, "expires": expires, "rate_limit": rate_limit}
        return self._ask("POST", "/v1/keys", body=_given(fields))

    def api_keys(self) -> list[Json]:
        """The tenant's keys, without their secrets."""
        keys: list[Json] = self._ask("GET", "/v1/keys")["keys"]
        return keys

    def revoke_key(self, key_id: str) -> Json:
        """End a key."""
        return self._ask("DELETE", f"/v1/keys/{_part(key_id)}")

    def info(self) -> Json:
        """Versions, models, thresholds and limits of the running service."""
        return self._ask("GET", "/v1/info")

    def ready(self) -> bool:
        """Whether every stage can serve at this moment."""
        try:
            return self._http.get("/readyz", timeout=5.0).status_code == 200
        except httpx.TransportError:
            return False

    def wait_until_ready(self, timeout_s: float = 60.0) -> bool:
        """Ask again and again; False if it does not become ready."""
        deadline = time.monotonic() + timeout_s
        while not self.ready():
            if time.monotonic() >= deadline:
                return False
            time.sleep(min(0.5, timeout_s))
        return True

    # -- how it is done

    def _ask(
        self, method: str, path: str, *, query: Mapping[str, Any] | None = None, body: Mapping[str, Any] | None = None
    ) -> Json:
        return _object(self._request(method, path, params=_given(query or {}), json=body))

    def _send(self, method: str, path: str, images: Sequence[tuple[str, Picture]], fields: Mapping[str, Any]) -> Json:
        if not images:
            return _object(self._request(method, path, json=_given(fields)))
        files = [(name, _file(image)) for name, image in images]
        form = {name: _form_value(value) for name, value in _given(fields).items()}
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


def _given(fields: Mapping[str, Any]) -> Json:
    return {name: value for name, value in fields.items() if value is not None}


def _part(name: str) -> str:
    return quote(name, safe="")


def _is_loopback(url: str) -> bool:
    host = httpx.URL(url).host
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
