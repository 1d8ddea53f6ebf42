"""A small synchronous client of the native API, used by the command line and the benchmarks.

    with Client("http://127.0.0.1:8000", key) as client:
        client.create_collection("staff")
        client.put_person("staff", "ada", [Path("ada.jpg")], name="Ada Lovelace")
        client.search(Path("probe.jpg"), ["staff"])["faces"][0]["matches"]

Answers are the service's JSON objects as plain dictionaries; /docs of the running service describes each.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal
from urllib.parse import quote

import httpx

from serve_app.client_http import ApiError, HttpClient, Json, Picture, ServiceUnreachable, given

__all__ = ["ApiError", "Client", "Json", "Picture", "ServiceUnreachable"]


class Client(HttpClient):
    """The native API. Thread-safe; requests of several threads run at the same time.

    Args:
        url: of the service, with any prefix it is served under.
        key: an API key.
        timeout_s: for each step of a request (connecting, sending, waiting for the answer).
        patience_s: a busy service (429, 503) is asked again, as its Retry-After says, for so long altogether.
        transport: instead of the network, for tests.
    """

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

    def merge_persons(self, collection: str, person_id: str, other_id: str) -> Json:
        """Make one record of two; the other's faces and collections come over, and it goes."""
        path = f"/v1/collections/{_part(collection)}/persons/{_part(person_id)}/merge"
        return self._ask("POST", path, body={"person_id": other_id})

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
        """Who is on a picture; options: max_results, min_score or fpir, faces, liveness, keep_unknown."""
        return self._send("POST", "/v1/search", [("image", image)], {"collections": list(collections), **options})

    def search_face(self, face_id: str, collections: Sequence[str], **options: Any) -> Json:
        """Who looks like an enrolled face; options: max_results, min_score or fpir."""
        body = {"face_id": face_id, "collections": list(collections), **given(options)}
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

    # -- unknowns

    def unknowns(self, collection: str, limit: int = 100, cursor: str | None = None) -> Json:
        """A page of faces that searches kept, latest seen first: ``{unknowns, cursor}``."""
        query = {"limit": limit, "cursor": cursor}
        return self._ask("GET", f"/v1/collections/{_part(collection)}/unknowns", query=query)

    def all_unknowns(self, collection: str) -> Iterator[Json]:
        """Every unknown, latest seen first, fetched page by page."""
        cursor: str | None = None
        while True:
            page = self.unknowns(collection, 1000, cursor)
            yield from page["unknowns"]
            cursor = page["cursor"]
            if cursor is None:
                return

    def unknown(self, collection: str, unknown_id: str) -> Json:
        """One unknown with its faces."""
        return self._ask("GET", f"/v1/collections/{_part(collection)}/unknowns/{_part(unknown_id)}")

    def name_unknown(self, collection: str, unknown_id: str, person_id: str, **fields: Any) -> Json:
        """Enrol the kept faces; fields: those of a person, and must_be_new."""
        path = f"/v1/collections/{_part(collection)}/unknowns/{_part(unknown_id)}/name"
        return self._ask("POST", path, body={"person_id": person_id, **given(fields)})

    def merge_unknowns(self, collection: str, unknown_id: str, others: Sequence[str]) -> Json:
        """The others are the same person."""
        path = f"/v1/collections/{_part(collection)}/unknowns/{_part(unknown_id)}/merge"
        return self._ask("POST", path, body={"others": list(others)})

    def discard_unknown(self, collection: str, unknown_id: str | None = None) -> Json:
        """Erase one, None for all."""
        rest = "" if unknown_id is None else f"/{_part(unknown_id)}"
        return self._ask("DELETE", f"/v1/collections/{_part(collection)}/unknowns{rest}")

    # -- tasks

    def find_duplicates(self, collection: str, **options: Any) -> Json:
        """Start a task that looks for persons who were enrolled twice; options: min_score or fpir."""
        return self._ask("POST", f"/v1/collections/{_part(collection)}/duplicates", body=given(options))

    def task(self, task_id: str) -> Json:
        """How far a task is."""
        return self._ask("GET", f"/v1/tasks/{_part(task_id)}")

    def tasks(self, limit: int = 100) -> list[Json]:
        """The latest tasks, newest first."""
        found: list[Json] = self._ask("GET", "/v1/tasks", query={"limit": limit})["tasks"]
        return found

    def cancel_task(self, task_id: str) -> Json:
        """Stop a task; what it found stays."""
        return self._ask("DELETE", f"/v1/tasks/{_part(task_id)}")

    def wait_for_task(
        self, task_id: str, progress: Callable[[Json], None] | None = None, period_s: float = 0.5
    ) -> Json:
        """The task when it is done, failed or cancelled; ``progress`` is called with it meanwhile."""
        while True:
            task = self.task(task_id)
            if task["state"] not in ("waiting", "running"):
                return task
            if progress is not None:
                progress(task)
            time.sleep(period_s)

    def duplicates(self, task_id: str, limit: int = 100, cursor: str | None = None) -> Json:
        """A page of what such a task found: ``{pairs, cursor}``."""
        return self._ask("GET", f"/v1/tasks/{_part(task_id)}/duplicates", query={"limit": limit, "cursor": cursor})

    def all_duplicates(self, task_id: str) -> Iterator[Json]:
        """Every pair, most alike first, fetched page by page."""
        cursor: str | None = None
        while True:
            page = self.duplicates(task_id, 1000, cursor)
            yield from page["pairs"]
            cursor = page["cursor"]
            if cursor is None:
                return

    # -- keys and the service itself

    def create_key(self, name: str, role: str, expires: str | None = None, rate_limit: float | None = None) -> Json:
        """A new key with its ``secret``, which is answered this once."""
        fields = {"name": name, "role": role, "expires": expires, "rate_limit": rate_limit}
        return self._ask("POST", "/v1/keys", body=given(fields))

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

    def status(self) -> Json:
        """Stages, replicas, queues, latency and refusals of the last minute."""
        return self._ask("GET", "/v1/status")

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


def _part(name: str) -> str:
    return quote(name, safe="")
