"""The methods of the native API and their requests, shared by the synchronous and the asynchronous client."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Generic, Literal, TypeVar
from urllib.parse import quote

from serve_app.client.http import Call, Picture, given

J = TypeVar("J")
"""A JSON object, or an awaitable of one."""
L = TypeVar("L")
"""A list of JSON objects, or an awaitable of one."""
B = TypeVar("B")
"""Bytes, or an awaitable of them."""
P = TypeVar("P")
"""An iterator over JSON objects, or an asynchronous one."""


class Api(ABC, Generic[J, L, B, P]):
    """The methods that both clients have. All raise ApiError and ServiceUnreachable."""

    @abstractmethod
    def _object(self, call: Call) -> J: ...

    @abstractmethod
    def _list(self, call: Call, name: str) -> L: ...

    @abstractmethod
    def _bytes(self, call: Call) -> B: ...

    @abstractmethod
    def _pages(self, page: Callable[[str | None], J], name: str) -> P:
        """The items under ``name`` of all pages, fetched one after the other."""

    @abstractmethod
    def _events(self, call: Call) -> P:
        """The tasks of an event stream, which is reconnected when it ends, until a task is final."""

    # -- collections

    def create_collection(self, name: str, **fields: Any) -> J:
        """Create a collection; fields: title, description, kind, tags, user_data, policy."""
        return self._object(Call("POST", "/v1/collections", body={"name": name, **fields}))

    def collection(self, name: str) -> J:
        """One collection with its policy and counts."""
        return self._object(Call("GET", f"/v1/collections/{_part(name)}"))

    def collections(self, q: str = "", limit: int = 100, cursor: str | None = None) -> J:
        """A page of collections: ``{collections, cursor}``."""
        return self._object(Call("GET", "/v1/collections", query={"q": q, "limit": limit, "cursor": cursor}))

    def update_collection(self, collection: str, /, **changes: Any) -> J:
        """Change the given fields of a collection; ``name`` renames it."""
        return self._object(Call("PATCH", f"/v1/collections/{_part(collection)}", body=changes))

    def delete_collection(self, name: str, *, only_if_empty: bool = False) -> J:
        """Delete a collection, and erase the persons and faces that are in no other one."""
        return self._object(Call("DELETE", f"/v1/collections/{_part(name)}", {"only_if_empty": only_if_empty}))

    # -- persons and faces

    def put_person(self, collection: str, person_id: str, images: Sequence[Picture] = (), **fields: Any) -> J:
        """Create or update a person; all images are enrolled or none.

        Fields: those of a person (name, metadata ...), and mode, faces, liveness, image_storage, must_be_new. In an
        error about an image, ``details["image"]`` is its position from 0.
        """
        path = f"/v1/collections/{_part(collection)}/persons/{_part(person_id)}"
        return self._object(Call("PUT", path, body=given(fields), pictures=[("image", image) for image in images]))

    def person(self, collection: str, person_id: str) -> J:
        """One person with all enrolled faces."""
        return self._object(Call("GET", f"/v1/collections/{_part(collection)}/persons/{_part(person_id)}"))

    def persons(self, collection: str, q: str = "", limit: int = 100, cursor: str | None = None) -> J:
        """A page of persons: ``{persons, cursor}``."""
        query = {"q": q, "limit": limit, "cursor": cursor}
        return self._object(Call("GET", f"/v1/collections/{_part(collection)}/persons", query=query))

    def all_persons(self, collection: str, q: str = "") -> P:
        """All persons, ordered by id, fetched page by page."""
        return self._pages(lambda cursor: self.persons(collection, q, 1000, cursor), "persons")

    def delete_person(self, collection: str, person_id: str) -> J:
        """Remove a person from a collection; a person in no other collection is erased."""
        return self._object(Call("DELETE", f"/v1/collections/{_part(collection)}/persons/{_part(person_id)}"))

    def merge_persons(self, collection: str, person_id: str, other_id: str) -> J:
        """Merge the person ``other_id``, with faces and collections, into ``person_id``, and delete the other one."""
        path = f"/v1/collections/{_part(collection)}/persons/{_part(person_id)}/merge"
        return self._object(Call("POST", path, body={"person_id": other_id}))

    def add_faces(self, collection: str, person_id: str, images: Sequence[Picture], **fields: Any) -> J:
        """Add one face per image to an existing person; fields: liveness, reject_below ..."""
        path = f"/v1/collections/{_part(collection)}/persons/{_part(person_id)}/faces"
        return self._object(Call("POST", path, body=given(fields), pictures=[("image", image) for image in images]))

    def delete_face(self, collection: str, person_id: str, face_id: str) -> J:
        """Erase one face of a person."""
        path = f"/v1/collections/{_part(collection)}/persons/{_part(person_id)}/faces/{_part(face_id)}"
        return self._object(Call("DELETE", path))

    def face_image(self, face_id: str, kind: Literal["thumbnail", "photograph"] = "thumbnail") -> B:
        """The stored image of a face."""
        return self._bytes(Call("GET", f"/v1/faces/{_part(face_id)}/image", {"kind": kind}))

    # -- images

    def search(self, image: Picture, collections: Sequence[str], **options: Any) -> J:
        """Search for the faces of an image; options: max_results, min_score or fpir, faces, liveness, keep_unknown."""
        body = given({"collections": list(collections), **options})
        return self._object(Call("POST", "/v1/search", body=body, pictures=[("image", image)]))

    def search_face(self, face_id: str, collections: Sequence[str], **options: Any) -> J:
        """Search with an enrolled face as the probe; options: max_results, min_score or fpir."""
        body = {"face_id": face_id, "collections": list(collections), **given(options)}
        return self._object(Call("POST", "/v1/search", body=body))

    def detect(self, image: Picture, **options: Any) -> J:
        """All faces of an image; options: max_faces, liveness."""
        return self._object(Call("POST", "/v1/detect", body=given(options), pictures=[("image", image)]))

    def compare(self, first: Picture, second: Picture, **options: Any) -> J:
        """Compare the largest faces of two images; options: min_score, liveness."""
        pictures = [("image1", first), ("image2", second)]
        return self._object(Call("POST", "/v1/compare", body=given(options), pictures=pictures))

    def verify(self, image: Picture, person_id: str, **options: Any) -> J:
        """Compare an image's largest face with one person; options: collection, min_score, liveness."""
        body = given({"person_id": person_id, **options})
        return self._object(Call("POST", "/v1/verify", body=body, pictures=[("image", image)]))

    def liveness(self, image: Picture, **options: Any) -> J:
        """Check the liveness of the main face of an image; options: threshold."""
        return self._object(Call("POST", "/v1/liveness", body=given(options), pictures=[("image", image)]))

    def embed(self, image: Picture, **options: Any) -> J:
        """Templates of an image's faces; options: faces."""
        return self._object(Call("POST", "/v1/embed", body=given(options), pictures=[("image", image)]))

    # -- unknowns

    def unknowns(self, collection: str, limit: int = 100, cursor: str | None = None) -> J:
        """A page of unknowns, most recently seen first: ``{unknowns, cursor}``."""
        query = {"limit": limit, "cursor": cursor}
        return self._object(Call("GET", f"/v1/collections/{_part(collection)}/unknowns", query=query))

    def all_unknowns(self, collection: str) -> P:
        """All unknowns, most recently seen first, fetched page by page."""
        return self._pages(lambda cursor: self.unknowns(collection, 1000, cursor), "unknowns")

    def unknown(self, collection: str, unknown_id: str) -> J:
        """One unknown with its faces."""
        return self._object(Call("GET", f"/v1/collections/{_part(collection)}/unknowns/{_part(unknown_id)}"))

    def name_unknown(self, collection: str, unknown_id: str, person_id: str, **fields: Any) -> J:
        """Enrol an unknown's faces as a person; fields: those of a person, and must_be_new."""
        path = f"/v1/collections/{_part(collection)}/unknowns/{_part(unknown_id)}/name"
        return self._object(Call("POST", path, body={"person_id": person_id, **given(fields)}))

    def merge_unknowns(self, collection: str, unknown_id: str, others: Sequence[str]) -> J:
        """Merge the unknowns ``others`` into this one: they are the same person."""
        path = f"/v1/collections/{_part(collection)}/unknowns/{_part(unknown_id)}/merge"
        return self._object(Call("POST", path, body={"others": list(others)}))

    def discard_unknown(self, collection: str, unknown_id: str | None = None) -> J:
        """Erase one unknown, or all unknowns of the collection with None."""
        rest = "" if unknown_id is None else f"/{_part(unknown_id)}"
        return self._object(Call("DELETE", f"/v1/collections/{_part(collection)}/unknowns{rest}"))

    # -- tasks

    def find_duplicates(self, collection: str, **options: Any) -> J:
        """Start a task that finds persons who were enrolled twice; options: min_score or fpir."""
        return self._object(Call("POST", f"/v1/collections/{_part(collection)}/duplicates", body=given(options)))

    def task(self, task_id: str) -> J:
        """A task with its state and progress."""
        return self._object(Call("GET", f"/v1/tasks/{_part(task_id)}"))

    def tasks(self, limit: int = 100) -> L:
        """The latest tasks, newest first."""
        return self._list(Call("GET", "/v1/tasks", {"limit": limit}), "tasks")

    def cancel_task(self, task_id: str) -> J:
        """Cancel a task; its results so far stay."""
        return self._object(Call("DELETE", f"/v1/tasks/{_part(task_id)}"))

    def duplicates(
        self, task_id: str, limit: int = 100, cursor: str | None = None, with_distinct: bool | None = None
    ) -> J:
        """A page of a duplicate task's pairs: ``{pairs, cursor}``; pairs marked as distinct only if asked for."""
        query = {"limit": limit, "cursor": cursor, "with_distinct": with_distinct}
        return self._object(Call("GET", f"/v1/tasks/{_part(task_id)}/duplicates", query=query))

    def all_duplicates(self, task_id: str, with_distinct: bool | None = None) -> P:
        """All pairs, most similar first, fetched page by page."""
        return self._pages(lambda cursor: self.duplicates(task_id, 1000, cursor, with_distinct), "pairs")

    def tell_apart(self, collection: str, person_id: str, other_id: str, distinct: bool = True) -> J:
        """Mark two persons as different people, for later searches for duplicates; False removes the mark."""
        path = f"/v1/collections/{_part(collection)}/persons/{_part(person_id)}/distinct"
        return self._object(Call("POST", path, body={"person_id": other_id, "distinct": distinct}))

    def submit_bulk(self, collection: str, upload: Picture, **options: Any) -> J:
        """Upload many persons, as a zip or as JSON lines; returns the task that enrols them in the background.

        Options: faces, liveness, image_storage, reject_below.
        """
        return self._object(Call("POST", f"/v1/collections/{_part(collection)}/bulk", options, upload=upload))

    def follow_task(self, task_id: str) -> P:
        """A task now, after each change, and finally when it is done, failed or cancelled."""
        return self._events(Call("GET", f"/v1/tasks/{_part(task_id)}/events"))

    def bulk_report(self, task_id: str, *, failures: bool = False) -> B:
        """Report of an upload as JSON lines, one per person; with ``failures`` only persons with refused parts."""
        return self._bytes(Call("GET", f"/v1/tasks/{_part(task_id)}/report", {"failures": failures}))

    # -- keys and the service itself

    def create_key(self, name: str, role: str, expires: str | None = None, rate_limit: float | None = None) -> J:
        """Create a key. Its ``secret`` is returned only here."""
        fields = {"name": name, "role": role, "expires": expires, "rate_limit": rate_limit}
        return self._object(Call("POST", "/v1/keys", body=given(fields)))

    def api_keys(self) -> L:
        """The tenant's keys, without their secrets."""
        return self._list(Call("GET", "/v1/keys"), "keys")

    def revoke_key(self, key_id: str) -> J:
        """Revoke a key."""
        return self._object(Call("DELETE", f"/v1/keys/{_part(key_id)}"))

    def info(self) -> J:
        """Versions, models, thresholds and limits of the running service."""
        return self._object(Call("GET", "/v1/info"))

    def status(self) -> J:
        """Stages, replicas, queues, latencies and refusals of the last minute."""
        return self._object(Call("GET", "/v1/status"))


def _part(name: str) -> str:
    return quote(name, safe="")
