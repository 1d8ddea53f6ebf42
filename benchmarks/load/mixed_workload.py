"""Mixed workload: searches, enrolments, changes, deletions, and requests that must be rejected.

Each client has its own persons and notes which writes were acknowledged, so that all of them can be looked up at the
end.
"""

from __future__ import annotations

import math
import random
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

COLLECTION = "soak"
PERSONS = 20
"""Persons of each client: they are enrolled and deleted, so that the gallery's size stays constant."""


@dataclass
class Tally:
    """The answers to all clients.

    Attributes:
        answers: number of requests by kind and status of the answer.
        unexpected: the first twenty answers with an unexpected status.
    """

    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    unexpected: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def requests(self) -> int:
        """Number of requests answered."""
        return sum(self.answers.values())

    def note(self, kind: str, answer: httpx.Response, expected: Sequence[int]) -> bool:
        """Count an answer; whether its status was expected."""
        with self.lock:
            self.answers[kind, answer.status_code] += 1
            if answer.status_code not in expected and len(self.unexpected) < 20:
                self.unexpected.append(f"{kind}: {answer.status_code} {answer.text[:300]}")
        return answer.status_code in expected


class Client:
    """One client.

    Args:
        api: with the service's address and an admin key.
        number: tells it from the other clients.
        pictures: images with one face or more each.
        tally: shared by all clients.
        seed: of its requests, together with ``number``.
    """

    def __init__(self, api: httpx.Client, number: int, pictures: Sequence[bytes], tally: Tally, seed: int = 1) -> None:
        self._api = api
        self._number = number
        self._pictures = pictures
        self._tally = tally
        self._random = random.Random(f"{seed} {number}")
        self.enrolled: set[str] = set()
        """Persons that were acknowledged and not deleted."""
        kinds: dict[Callable[[], None], int] = {
            self._search: 55,
            self._enrol: 12,
            self._delete: 8,
            self._rename: 4,
            self._compare: 3,
            self._list: 4,
            self._image: 4,
            self._refused: 10,
        }
        self._kinds, self._weights = list(kinds), list(kinds.values())

    def step(self) -> None:
        """Send a request of a random kind."""
        self._random.choices(self._kinds, self._weights)[0]()

    def _picture(self) -> tuple[str, bytes]:
        return "a.jpg", self._random.choice(self._pictures)

    def _person(self) -> str:
        return f"p{self._number}-{self._random.randrange(PERSONS)}"

    def _path(self, person: str) -> str:
        return f"/v1/collections/{COLLECTION}/persons/{person}"

    def _search(self) -> None:
        fields = {"collections": COLLECTION, "faces": self._random.choice(["largest", "all"])}
        answer = self._api.post("/v1/search", files={"image": self._picture()}, data=fields)
        self._tally.note("search", answer, [200])

    def _enrol(self) -> None:
        person = self._person()
        fields = {"name": f"Name {secrets.token_hex(8)}", "faces": "largest"}
        answer = self._api.put(self._path(person), files={"image": self._picture()}, data=fields)
        if self._tally.note("enrol", answer, [200, 201]):
            self.enrolled.add(person)

    def _delete(self) -> None:
        person = self._person()
        answer = self._api.delete(self._path(person))
        if self._tally.note("delete", answer, [200 if person in self.enrolled else 404]):
            self.enrolled.discard(person)

    def _rename(self) -> None:
        person = self._person()
        if person in self.enrolled:
            answer = self._api.put(self._path(person), json={"name": secrets.token_hex(8)})
            self._tally.note("rename", answer, [200])

    def _compare(self) -> None:
        files = {"image1": self._picture(), "image2": self._picture()}
        self._tally.note("compare", self._api.post("/v1/compare", files=files), [200])

    def _list(self) -> None:
        answer = self._api.get(f"/v1/collections/{COLLECTION}/persons", params={"limit": 50})
        self._tally.note("list", answer, [200])

    def _image(self) -> None:
        person = self._person()
        answer = self._api.get(self._path(person))
        if self._tally.note("person", answer, [200 if person in self.enrolled else 404]) and answer.is_success:
            face = answer.json()["faces"][0]["id"]
            self._tally.note("image", self._api.get(f"/v1/faces/{face}/image"), [200])

    def _refused(self) -> None:
        """Send one of the requests that the service must reject."""
        name, picture = self._picture()
        cut = name, picture[: self._random.randrange(1, len(picture))]
        search = {"collections": COLLECTION}
        kinds: list[tuple[str, list[int], dict[str, Any]]] = [
            (
                "/v1/search",
                [400, 415, 422],
                {"files": {"image": (name, secrets.token_bytes(5000))}, "data": search},
            ),
            ("/v1/search", [400, 415, 422], {"files": {"image": cut}, "data": search}),
            (
                "/v1/search",
                [404],
                {"files": {"image": (name, picture)}, "data": {"collections": secrets.token_hex(4)}},
            ),
            ("/v1/search", [400], {"content": b'{"image": ', "headers": {"Content-Type": "application/json"}}),
            ("/v1/search", [415], {"content": b"?", "headers": {"Content-Type": "text/" + secrets.token_hex(4)}}),
            ("/v1/detect", [401], {"files": {"image": cut}, "headers": {"X-API-Key": secrets.token_urlsafe(32)}}),
            (f"/v1/{secrets.token_hex(4)}", [404], {"content": b""}),
        ]
        path, expected, arguments = self._random.choice(kinds)
        self._tally.note("refused", self._api.post(path, **arguments), expected)


def run(clients: Sequence[Client], tally: Tally, requests: int, deadline: float = math.inf) -> None:
    """Run all clients at the same time until ``requests`` are answered or ``time.monotonic()`` is ``deadline``."""

    def work(client: Client) -> None:
        while tally.requests < requests and time.monotonic() < deadline:
            client.step()

    threads = [threading.Thread(target=work, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def lost(api: httpx.Client, clients: Sequence[Client]) -> int:
    """Number of acknowledged enrolments that are missing plus acknowledged deletions that are still present."""
    present: set[str] = set()
    cursor = None
    while True:
        query = {"limit": 1000, **({"cursor": cursor} if cursor else {})}
        page = api.get(f"/v1/collections/{COLLECTION}/persons", params=query).raise_for_status().json()
        present |= {person["id"] for person in page["persons"]}
        cursor = page["cursor"]
        if cursor is None:
            return len(present ^ set().union(*(client.enrolled for client in clients)))
