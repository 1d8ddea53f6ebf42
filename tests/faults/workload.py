"""Workload of the victims of kills: random enrolments, updates and deletions, reported before and after each.

Every line on standard output is a JSON list: ``["begin", person, state to be]``, then one of ``["done", person]``,
``["failed", person]`` (an error said that nothing was written) and ``["unknown", person]`` (an error said that nobody
knows), and ``["read", person, state]`` when the truth was read afterwards. A state is None or ``[name, collections,
seeds of the faces]``.
"""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from serve_app.domain import DEFAULT_TENANT, ImageStorage, NewFace, Person, PersonFields
from serve_app.errors import PersonNotFound, StoreUnavailable
from serve_app.gallery import Gallery
from tests.gallery.samples import face

TENANT = DEFAULT_TENANT
COLLECTIONS = ("guests", "staff")
THREADS = 4
PERSONS = 10  # of each thread

State = list[Any] | None

_speaking = threading.Lock()


def say(*words: Any) -> None:
    """One line, at once."""
    with _speaking:
        sys.stdout.write(json.dumps(words) + "\n")
        sys.stdout.flush()


def thumbnail(seed: int) -> bytes:
    """What is stored of a face."""
    return f"thumbnail {seed}".encode()


def photograph(seed: int) -> bytes | None:
    """What is stored of every third face too."""
    return seed.to_bytes(8, "big") * 2000 if seed % 3 == 0 else None


def new_face(seed: int) -> NewFace:
    """A face whose image id tells its seed."""
    photo = photograph(seed)
    storage = ImageStorage.THUMBNAIL if photo is None else ImageStorage.FULL
    return face(seed, image_id=f"{seed:032x}", storage=storage, thumbnail=thumbnail(seed), photograph=photo)


def seed_of(image_id: str) -> int:
    """The inverse."""
    return int(image_id, 16)


def state_of(person: Person) -> State:
    """A stored person's state."""
    return [person.name, sorted(person.collections), sorted(seed_of(stored.image_id) for stored in person.faces)]


def read_state(gallery: Gallery, person_id: str) -> State:
    """Its state now."""
    try:
        return state_of(gallery.person(TENANT, person_id))
    except PersonNotFound:
        return None


class Actor(threading.Thread):
    """Changes its own persons, one after the other, until ``stopping`` is set."""

    def __init__(self, gallery: Gallery, number: int, seed: int, stopping: threading.Event) -> None:
        super().__init__(daemon=True)
        self._gallery = gallery
        self._random = random.Random(seed)
        self._persons = [f"w{number}-{i}" for i in range(PERSONS)]
        self._stopping = stopping

    def run(self) -> None:
        """Work."""
        while not self._stopping.is_set():
            person_id = self._random.choice(self._persons)
            try:
                change = self._choose(person_id, read_state(self._gallery, person_id))
            except StoreUnavailable:
                time.sleep(0.05)
                continue
            if change is None:
                continue
            after, act = change
            say("begin", person_id, after)
            self._act(person_id, act)

    def _act(self, person_id: str, act: Callable[[], Any]) -> None:
        try:
            act()
        except StoreUnavailable as error:
            if error.details.get("pending") or error.details.get("residue"):
                say("done", person_id)
            elif error.details.get("outcome") == "unknown":
                say("unknown", person_id)
                self._find_out(person_id)
            else:
                say("failed", person_id)
            time.sleep(0.05)
        else:
            say("done", person_id)

    def _find_out(self, person_id: str) -> None:
        while not self._stopping.is_set():
            try:
                say("read", person_id, read_state(self._gallery, person_id))
            except StoreUnavailable:
                time.sleep(0.05)
            else:
                return

    def _choose(self, person_id: str, now: State) -> tuple[State, Callable[[], Any]] | None:
        gallery, rng = self._gallery, self._random
        name = f"{person_id} {rng.getrandbits(32):x}"
        seeds = [rng.getrandbits(48) for _ in range(rng.randint(1, 3))]
        new = [new_face(seed) for seed in seeds]
        if now is None:
            places = rng.choice([["staff"], ["guests"], list(COLLECTIONS)])
            act = lambda: gallery.put_person(TENANT, person_id, places, PersonFields(name=name), new)  # noqa: E731
            return [name, sorted(places), sorted(seeds)], act
        old_name, places, old = now
        kind = rng.choice(("replace", "add", "rename", "move", "face", "delete", "delete"))
        if kind == "replace":
            fields = PersonFields(name=name)
            return [name, places, sorted(seeds)], lambda: gallery.put_person(TENANT, person_id, [], fields, new)
        if kind == "add" and len(old) < 6:
            fields = PersonFields()
            return (
                [old_name, places, sorted([*old, *seeds])],
                lambda: gallery.put_person(TENANT, person_id, [], fields, new, mode="add"),
            )
        if kind == "rename":
            fields = PersonFields(name=name)
            return [name, places, old], lambda: gallery.put_person(TENANT, person_id, [], fields)
        if kind == "move":
            place = rng.choice(COLLECTIONS)
            if places == [place]:
                return None  # would leave its last collection
            if place in places:
                left = [other for other in places if other != place]
                return [old_name, left, old], lambda: gallery.delete_person(TENANT, person_id, place)
            both = sorted([*places, place])
            return [old_name, both, old], lambda: gallery.put_person(TENANT, person_id, [place], PersonFields())
        if kind == "face" and len(old) > 1:
            seed = rng.choice(old)
            (stored,) = (f for f in gallery.person(TENANT, person_id).faces if seed_of(f.image_id) == seed)
            kept = [other for other in old if other != seed]
            return [old_name, places, kept], lambda: gallery.delete_face(TENANT, stored.id)
        if kind == "delete":
            return None, lambda: gallery.delete_person(TENANT, person_id)
        return None
