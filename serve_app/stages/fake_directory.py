"""What the fake gallery keeps, and its part as a directory of persons and collections."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from serve_app.domain import (
    BulkPerson,
    Collection,
    Deletion,
    DuplicatePair,
    Enrolment,
    Face,
    NewFace,
    Person,
    PersonFields,
    PersonOrder,
    PersonUpdate,
    Slice,
    Task,
)
from serve_app.errors import (
    CollectionNotFound,
    FaceCountRefused,
    FaceIdNotFound,
    FaceNotLive,
    InvalidRequest,
    LivenessRequired,
    PersonNotFound,
)
from serve_app.stages.fake_loose_faces import fake_face
from serve_app.stages.fake_unknowns import FakeUnknown
from serve_app.stages.fakes import FakeStage


@dataclass
class FakeUpload:
    """Persons and what became of them, by position."""

    actor: str
    people: dict[int, BulkPerson] = field(default_factory=dict)
    outcomes: dict[int, Mapping[str, Any]] = field(default_factory=dict)


@dataclass
class FakeTenant:
    """Everything of one tenant."""

    collections: dict[str, Collection] = field(default_factory=dict)
    persons: dict[str, Person] = field(default_factory=dict)
    new_faces: dict[str, NewFace] = field(default_factory=dict)  # by face id
    unassigned: dict[str, Face] = field(default_factory=dict)
    places: dict[str, list[str]] = field(default_factory=dict)  # collection id -> loose faces
    unknowns: dict[str, FakeUnknown] = field(default_factory=dict)
    tasks: dict[str, Task] = field(default_factory=dict)
    duplicates: dict[str, list[DuplicatePair]] = field(default_factory=dict)  # by task
    distinct: set[frozenset[str]] = field(default_factory=set)
    uploads: dict[str, FakeUpload] = field(default_factory=dict)  # by task


class FakeDirectory(FakeStage):
    """Implements :class:`~serve_app.contracts.directory.Directory` over dictionaries."""

    def __init__(self) -> None:
        super().__init__()
        self._tenants: dict[str, FakeTenant] = {}

    def _of(self, tenant: str) -> FakeTenant:
        self.check()
        return self._tenants.setdefault(tenant, FakeTenant())

    def _collection(self, tenant: str, name: str) -> Collection:
        found = self._of(tenant).collections.get(name)
        if found is None:
            raise CollectionNotFound(f"There is no collection {name!r}.", collection=name)
        members = [p for p in self._of(tenant).persons.values() if name in p.collections]
        heads = sum(len(person.faces) for person in members) + len(self._of(tenant).places.get(found.id, ()))
        return replace(found, person_count=len(members), face_count=heads)

    def _person(self, tenant: str, person_id: str) -> Person:
        found = self._of(tenant).persons.get(person_id)
        if found is None:
            raise PersonNotFound(f"There is no person {person_id!r}.", person_id=person_id)
        return found

    async def collections_named(self, tenant: str, names: Sequence[str]) -> tuple[Collection, ...]:
        """With their counts."""
        return tuple(self._collection(tenant, name) for name in set(names) & set(self._of(tenant).collections))

    async def collections_slice(
        self,
        tenant: str,
        q: str = "",
        limit: int = 100,
        offset: int = 0,
        descending: bool = False,
        person_id: str | None = None,
    ) -> Slice[Collection]:
        """By name."""
        names = self._of(tenant).collections if person_id is None else self._person(tenant, person_id).collections
        found = [self._collection(tenant, name) for name in sorted(names, reverse=descending)]
        kept = [item for item in found if q.casefold() in f"{item.name}\n{item.title}".casefold()]
        return Slice(tuple(kept[offset : offset + limit]), len(kept))

    async def persons_slice(
        self,
        tenant: str,
        collection: str | None = None,
        q: str = "",
        limit: int = 100,
        offset: int = 0,
        order: PersonOrder = PersonOrder.NAME,
        descending: bool = False,
    ) -> Slice[Person]:
        """Persons without a value come last."""
        if collection is not None:
            self._collection(tenant, collection)
        everyone = sorted(self._of(tenant).persons.values(), key=lambda person: person.id)
        members = [person for person in everyone if collection is None or collection in person.collections]
        kept = [person for person in members if q.casefold() in f"{person.id}\n{person.name}".casefold()]
        known = [person for person in kept if getattr(person, order)]
        known.sort(key=lambda person: getattr(person, order), reverse=descending)
        ordered = [*known, *(person for person in kept if not getattr(person, order))]
        return Slice(tuple(ordered[offset : offset + limit]), len(ordered))

    async def update_person(self, tenant: str, person_id: str, update: PersonUpdate) -> Enrolment:
        """All or nothing."""
        store, person, now = self._of(tenant), self._person(tenant, person_id), utc_now()
        names = person.collections if update.collections is None else tuple(dict.fromkeys(update.collections))
        demanded = [self._collection(tenant, name).policy for name in names]
        present = {face.id for face in person.faces}
        for face_id in update.removed_faces:
            if face_id not in present:
                raise FaceIdNotFound(f"There is no face {face_id!r} of {person_id!r}.", face_id=face_id)
        removed = present if update.replace_faces else set(update.removed_faces)
        kept = tuple(face for face in person.faces if face.id not in removed)
        count = len(kept) + len(update.new_faces)
        too_many = bool(update.new_faces) and update.max_faces is not None and count > update.max_faces
        if too_many or (removed and count < update.min_faces):
            raise FaceCountRefused(
                f"The person would have {count} faces.",
                faces=count,
                min_faces=update.min_faces,
                max_faces=update.max_faces,
            )
        for threshold in (policy.liveness_threshold for policy in demanded if policy.liveness):
            _check_live([face.liveness for face in update.new_faces], threshold)
        added = {new_id(): new for new in update.new_faces}
        store.new_faces.update(added)
        stored = tuple(fake_face(face_id, person_id, new, now) for face_id, new in added.items())
        fields = given_fields(update.fields)
        changed = replace(person, **fields, collections=names, faces=(*kept, *stored), modified=now)
        store.persons[person_id] = changed
        return Enrolment(changed, False, stored)

    async def link_persons(
        self, tenant: str, collection: str, add: Sequence[str] = (), remove: Sequence[str] = ()
    ) -> Collection:
        """All or none."""
        if set(add) & set(remove):
            raise InvalidRequest("A person is to be added and removed at once.")
        policy, store = self._collection(tenant, collection).policy, self._of(tenant)
        for person in [self._person(tenant, person_id) for person_id in (*add, *remove)]:
            if person.id in remove and collection not in person.collections:
                raise PersonNotFound(f"There is no person {person.id!r} in {collection!r}.", person_id=person.id)
            if policy.liveness and person.id in add and collection not in person.collections:
                _check_live([face.liveness for face in person.faces], policy.liveness_threshold)
        for person_id in add:
            person = store.persons[person_id]
            names = dict.fromkeys((*person.collections, collection))
            store.persons[person_id] = replace(person, collections=tuple(names))
        for person_id in remove:
            person = store.persons[person_id]
            rest = tuple(name for name in person.collections if name != collection)
            store.persons[person_id] = replace(person, collections=rest)
        return self._collection(tenant, collection)

    async def merge_persons(self, tenant: str, person_id: str, other_id: str, collection: str | None = None) -> Person:
        """Without the policies."""
        if person_id == other_id:
            raise InvalidRequest("Another person was expected.")
        if collection is not None:
            self._collection(tenant, collection)
        person, other = self._person(tenant, person_id), self._person(tenant, other_id)
        for each in (person, other):
            if collection is not None and collection not in each.collections:
                raise PersonNotFound(f"There is no person {each.id!r} in {collection!r}.", person_id=each.id)
        merged = replace(
            person,
            **{text: getattr(person, text) or getattr(other, text) for text in ("name", "notes", "nationality")},
            collections=tuple(sorted({*person.collections, *other.collections})),
            faces=(*person.faces, *(replace(face, person_id=person_id) for face in other.faces)),
            metadata={**other.metadata, **person.metadata},
            modified=utc_now(),
        )
        self._of(tenant).persons[person_id] = merged
        del self._of(tenant).persons[other_id]
        return merged

    async def delete_persons(self, tenant: str, person_ids: Sequence[str]) -> Deletion:
        """All or none."""
        gone = {person_id: self._person(tenant, person_id) for person_id in person_ids}
        for person_id in gone:
            del self._of(tenant).persons[person_id]
        return Deletion(len(gone), sum(len(person.faces) for person in gone.values()), erased=True)


def _check_live(probabilities: Sequence[float | None], threshold: float) -> None:
    for probability in probabilities:
        if probability is None:
            raise LivenessRequired("A collection demands a liveness check.", threshold=threshold)
        if probability < threshold:
            raise FaceNotLive("The face is not live.", probability=probability, threshold=threshold)


def given_fields(fields: PersonFields) -> dict[str, Any]:
    """What changes, by name."""
    given = {name: getattr(fields, name) for name in PersonFields.__dataclass_fields__}
    changes = {name: value for name, value in given.items() if value is not None}
    if changes.get("date_of_birth") == "":
        changes["date_of_birth"] = None
    if fields.consent is not None and not fields.consent.basis:
        changes["consent"] = None
    return changes


def new_id() -> str:
    """32 hex digits."""
    return uuid.uuid4().hex


def utc_now() -> dt.datetime:
    """Now, with its time zone."""
    return dt.datetime.now(dt.UTC)
