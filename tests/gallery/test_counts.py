"""Random sequences of operations, compared with a model of dictionaries after each step."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from serve_app.domain import DEFAULT_TENANT, NewCollection, PersonFields
from serve_app.errors import Conflict, InvalidRequest, NotFound
from tests.gallery.samples import face, query
from tests.gallery.stores import check_consistent, in_memory

TENANT = DEFAULT_TENANT
COLLECTIONS = ("a", "b", "c")
PERSONS = ("p", "q", "r")

some_collections = st.lists(st.sampled_from(COLLECTIONS), max_size=3)
some_seeds = st.lists(st.integers(0, 5), max_size=3)


class GalleryMachine(RuleBasedStateMachine):
    """The model: the existing collections, and the collections and faces (id -> seed) of each person."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory(prefix="facegraph-test-")
        self._context = in_memory(Path(self._folder.name))
        self.gallery = self._context.__enter__()
        self.collections: set[str] = set()
        self.memberships: dict[str, set[str]] = {}
        self.faces: dict[str, dict[str, int]] = {}

    def teardown(self) -> None:
        self._context.__exit__(None, None, None)
        self._folder.cleanup()

    def attempt(self, allowed: bool, call: Callable[[], Any]) -> Any:
        """The result of the call, None if it was refused. It must be refused exactly if the model does not allow it."""
        try:
            result = call()
        except (NotFound, Conflict, InvalidRequest):
            assert not allowed
            return None
        assert allowed
        return result

    @rule(name=st.sampled_from(COLLECTIONS))
    def create_collection(self, name: str) -> None:
        allowed = name not in self.collections
        self.attempt(allowed, lambda: self.gallery.create_collection(TENANT, NewCollection(name)))
        self.collections.add(name)

    @rule(name=st.sampled_from(COLLECTIONS), only_if_empty=st.booleans())
    def delete_collection(self, name: str, only_if_empty: bool) -> None:
        inside = {person for person, memberships in self.memberships.items() if name in memberships}
        allowed = name in self.collections and not (only_if_empty and inside)
        result = self.attempt(allowed, lambda: self.gallery.delete_collection(TENANT, name, only_if_empty))
        if result is None:
            return
        gone = {person for person in inside if self.memberships[person] == {name}}
        assert (result.persons, result.faces) == (len(gone), sum(len(self.faces[person]) for person in gone))
        self.collections.remove(name)
        for person in inside:
            self._leave(person, name)

    @rule(
        person=st.sampled_from(PERSONS),
        names=some_collections,
        seeds=some_seeds,
        add=st.booleans(),
        must_be_new=st.booleans(),
    )
    def put_person(self, person: str, names: list[str], seeds: list[int], add: bool, must_be_new: bool) -> None:
        known = person in self.memberships
        allowed = set(names) <= self.collections and not (known and must_be_new)
        result = self.attempt(
            allowed,
            lambda: self.gallery.put_person(
                TENANT,
                person,
                names,
                PersonFields(),
                [face(seed) for seed in seeds],
                "add" if add else "replace",
                must_be_new,
            ),
        )
        if result is None:
            return
        assert result.created != known
        self.memberships.setdefault(person, set()).update(names)
        old = self.faces.get(person, {}) if add or not seeds else {}
        self.faces[person] = old | {new.id: seed for new, seed in zip(result.faces, seeds, strict=True)}

    @rule(person=st.sampled_from(PERSONS), name=st.none() | st.sampled_from(COLLECTIONS))
    def delete_person(self, person: str, name: str | None) -> None:
        memberships = self.memberships.get(person, set())
        allowed = person in self.memberships and (name is None or name in memberships)
        result = self.attempt(allowed, lambda: self.gallery.delete_person(TENANT, person, name))
        if result is None:
            return
        assert result.erased == (name is None or memberships == {name})
        if name is None:
            del self.memberships[person], self.faces[person]
        else:
            self._leave(person, name)

    @rule(person=st.sampled_from(PERSONS), data=st.data())
    def delete_face(self, person: str, data: st.DataObject) -> None:
        if self.faces.get(person):
            face_id = data.draw(st.sampled_from(sorted(self.faces[person])))
            assert self.gallery.delete_face(TENANT, face_id, person).faces == 1
            del self.faces[person][face_id]
            self.attempt(False, lambda: self.gallery.delete_face(TENANT, face_id))

    def _leave(self, person: str, name: str) -> None:
        self.memberships[person].discard(name)
        if not self.memberships[person]:
            del self.memberships[person]
            del self.faces[person]

    @invariant()
    def everything_agrees(self) -> None:
        check_consistent(self.gallery)
        listed = {collection.name: collection for collection in self.gallery.collections(TENANT).items}
        assert set(listed) == self.collections
        for name, collection in listed.items():
            inside = [person for person, memberships in self.memberships.items() if name in memberships]
            assert collection.person_count == len(inside)
            assert collection.face_count == sum(len(self.faces[person]) for person in inside)
        stored = {person.id: person for person in self.gallery.persons(TENANT).items}
        assert {id_: set(person.collections) for id_, person in stored.items()} == self.memberships
        assert {id_: {f.id for f in person.faces} for id_, person in stored.items()} == {
            id_: set(faces) for id_, faces in self.faces.items()
        }

    @rule(seed=st.integers(0, 5), names=st.lists(st.sampled_from(COLLECTIONS), min_size=1, max_size=3))
    def search(self, seed: int, names: list[str]) -> None:
        result = self.attempt(
            set(names) <= self.collections,
            lambda: self.gallery.search(TENANT, query(seed, collections=tuple(names))),
        )
        if result is not None:
            expected = {
                p
                for p, memberships in self.memberships.items()
                if memberships & set(names) and seed in self.faces[p].values()
            }
            assert {match.person.id for match in result.matches[0]} == expected
            assert len(result.matches[0]) == len(expected)


TestGallery = GalleryMachine.TestCase
TestGallery.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)


def test_the_model_notices_a_wrong_count() -> None:
    """The check itself fails when it should."""
    machine = GalleryMachine()
    try:
        machine.create_collection("a")
        machine.collections.clear()
        try:
            machine.everything_agrees()
        except AssertionError:
            return
        raise RuntimeError("a missing collection went unnoticed")
    finally:
        machine.teardown()
