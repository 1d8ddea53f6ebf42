"""A gallery in a dictionary, for tests of what stands above the matcher. Same promises as the real one, one process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, TypeVar

import numpy as np

from serve_app.domain import (
    Collection,
    Deletion,
    EnrolledFace,
    Enrolment,
    Face,
    GalleryAnswer,
    GalleryQuery,
    Match,
    NewCollection,
    NewFace,
    Page,
    Person,
    PersonFields,
    Slice,
    Vectors,
)
from serve_app.errors import (
    CollectionExists,
    CollectionNotEmpty,
    FaceIdNotFound,
    ImageNotStored,
    InvalidRequest,
    LivenessRequired,
    PersonExists,
    PersonNotFound,
)
from serve_app.gallery.checks import check_person_id
from serve_app.score import Calibration, resolve_threshold
from serve_app.stages.fake_bulk import FakeBulk
from serve_app.stages.fake_directory import FakeDirectory, FakeTenant, given_fields, new_id, utc_now
from serve_app.stages.fake_embedders import FakeEmbedders
from serve_app.stages.fake_loose_faces import FakeLooseFaces, fake_face
from serve_app.stages.fake_privacy import FakePrivacy
from serve_app.stages.fake_tasks import FakeTasks
from serve_app.stages.fake_unknowns import FakeUnknowns
from serve_app.stages.fakes import FAKE_CALIBRATION

T = TypeVar("T")


class FakeMatcher(FakeEmbedders, FakeDirectory, FakeLooseFaces, FakeTasks, FakeBulk, FakeUnknowns, FakePrivacy):
    """Implements :class:`~serve_app.contracts.matcher.Matcher` by exhaustive comparison."""

    def __init__(self, calibration: Calibration = FAKE_CALIBRATION) -> None:
        super().__init__()
        self._calibration = calibration

    # -- searching

    async def search(self, tenant: str, query: GalleryQuery) -> GalleryAnswer:
        """By comparing with every face."""
        store = self._of(tenant)
        names = (*store.collections, "") if query.collections is None else query.collections
        policies = [self._collection(tenant, name).policy for name in names if name]
        demanded = max((policy.liveness_threshold for policy in policies if policy.liveness), default=None)
        if demanded is not None and (query.liveness_threshold or 0.0) < demanded:
            raise LivenessRequired("A collection demands a liveness check.", threshold=demanded)
        searched = [p for p in store.persons.values() if set(p.collections or ("",)) & set(names)]
        scores = [policy.min_score for policy in policies if policy.min_score is not None]
        unassigned = {name: self._loose_in(tenant, name) for name in names if name and not query.persons_only}
        size = sum(len(person.faces) for person in searched) + sum(map(len, unassigned.values()))
        threshold = resolve_threshold(query.threshold, size, max(scores, default=None))
        answers: list[tuple[Match, ...]] = []
        for probe in query.probes:
            matches = [self._best(store, person, probe, names) for person in searched if person.faces]
            matches += [self._loose_match(store, name, face, probe) for name in unassigned for face in unassigned[name]]
            found = sorted((m for m in matches if m.score >= threshold.min_score), key=lambda match: -match.score)
            answers.append(tuple(found[: query.max_results]))
        return GalleryAnswer(tuple(answers), threshold, demanded)

    def _best(self, store: FakeTenant, person: Person, probe: Any, collections: Sequence[str]) -> Match:
        cosines = {face.id: float(store.new_faces[face.id].template @ probe) for face in person.faces}
        face = max(person.faces, key=lambda candidate: cosines[candidate.id])
        name = next((name for name in collections if name in person.collections), "")
        return Match(name, person, face, self._calibration.score(cosines[face.id]), 1.0 - cosines[face.id])

    def _loose_match(self, store: FakeTenant, collection: str, face: Face, probe: Any) -> Match:
        cosine = float(store.new_faces[face.id].template @ probe)
        return Match(collection, None, face, self._calibration.score(cosine), 1.0 - cosine)

    async def verify(self, tenant: str, person_id: str, probe: Vectors, model: str) -> tuple[Face, float]:
        """The person's nearest face."""
        person = await self.person(tenant, person_id)
        if not person.faces:
            raise FaceIdNotFound(f"The person {person_id!r} has no faces.")
        match = self._best(self._of(tenant), person, probe[0], person.collections)
        return match.face, 1.0 - match.distance

    async def template(self, tenant: str, face_id: str) -> tuple[Face, Vectors]:
        """The stored template."""
        face = await self.face(tenant, face_id)
        return face, np.asarray([self._of(tenant).new_faces[face_id].template], np.float32)

    # -- collections

    async def create_collection(self, tenant: str, new: NewCollection) -> Collection:
        """Refuses a name that is taken."""
        store, now = self._of(tenant), utc_now()
        if new.name in store.collections:
            raise CollectionExists(f"There is a collection {new.name!r} already.", collection=new.name)
        fields = {name: getattr(new, name) for name in NewCollection.__dataclass_fields__}
        created = Collection(new_id(), tenant, **fields, person_count=0, face_count=0, created=now, modified=now)
        store.collections[new.name] = created
        return created

    async def collection(self, tenant: str, name: str) -> Collection:
        """With its counts."""
        return self._collection(tenant, name)

    async def collections_by_id(self, tenant: str, ids: Sequence[str]) -> tuple[Collection, ...]:
        """With their counts."""
        names = {collection.id: name for name, collection in self._of(tenant).collections.items()}
        return tuple(self._collection(tenant, names.get(collection_id, "")) for collection_id in ids)

    async def collections(
        self, tenant: str, q: str = "", limit: int = 100, cursor: str | None = None
    ) -> Page[Collection]:
        """By name."""
        found = [self._collection(tenant, name) for name in self._of(tenant).collections]
        kept = {item.name: item for item in found if q.lower() in f"{item.name}\n{item.title}".lower()}
        return _page(kept, limit, cursor)

    async def update_collection(self, tenant: str, name: str, changes: Mapping[str, Any]) -> Collection:
        """Renames in the persons, too."""
        store, current = self._of(tenant), self._collection(tenant, name)
        changed = replace(current, **changes, modified=utc_now())
        if changed.name != name and changed.name in store.collections:
            raise CollectionExists(f"There is a collection {changed.name!r} already.")
        del store.collections[name]
        store.collections[changed.name] = changed
        for person in store.persons.values():
            renamed = tuple(changed.name if item == name else item for item in person.collections)
            store.persons[person.id] = replace(person, collections=renamed)
        return self._collection(tenant, changed.name)

    async def delete_collection(
        self, tenant: str, name: str, only_if_empty: bool = False, keep_persons: bool = False
    ) -> Deletion:
        """Takes every member out first."""
        collection, store = self._collection(tenant, name), self._of(tenant)
        if only_if_empty and collection.face_count:
            raise CollectionNotEmpty(f"The collection {name!r} holds {collection.face_count} faces.")
        members = [person.id for person in store.persons.values() if name in person.collections]
        if keep_persons:
            await self.link_persons(tenant, name, remove=members)
            members = []
        gone = [await self.delete_person(tenant, person_id, name) for person_id in members]
        del store.collections[name]
        alone = [face_id for face_id in store.places.pop(collection.id, []) if not self._is_placed(store, face_id)]
        for face_id in alone:
            del store.unassigned[face_id]
        faces = sum(item.faces for item in gone) + len(alone)
        return Deletion(sum(item.persons for item in gone), faces, erased=True)

    # -- persons

    async def put_person(
        self,
        tenant: str,
        person_id: str,
        collections: Sequence[str],
        fields: PersonFields,
        faces: Sequence[NewFace] = (),
        mode: Literal["replace", "add"] = "replace",
        must_be_new: bool = False,
    ) -> Enrolment:
        """Creates or changes."""
        check_person_id(person_id)
        store, now = self._of(tenant), utc_now()
        for name in collections:
            self._collection(tenant, name)
        present = store.persons.get(person_id)
        if present is not None and must_be_new:
            raise PersonExists(f"There is a person {person_id!r} already.", person_id=person_id)
        person = present or Person(person_id, "", "", None, "", "", "", "", (), {}, (), (), now, now)
        person = replace(person, **given_fields(fields), modified=now)
        added = {new_id(): new for new in faces}
        store.new_faces.update(added)
        stored = tuple(fake_face(face_id, person_id, new, now) for face_id, new in added.items())
        kept = person.faces if mode == "add" or not faces else ()
        names = tuple(dict.fromkeys((*person.collections, *collections)))
        store.persons[person_id] = replace(person, faces=(*kept, *stored), collections=names)
        return Enrolment(store.persons[person_id], present is None, stored)

    async def person(self, tenant: str, person_id: str, collection: str | None = None) -> Person:
        """One person."""
        if collection is not None:
            self._collection(tenant, collection)
        found = self._of(tenant).persons.get(person_id)
        if found is None or (collection is not None and collection not in found.collections):
            raise PersonNotFound(f"There is no person {person_id!r} here.", person_id=person_id)
        return found

    async def persons(
        self, tenant: str, collection: str | None = None, q: str = "", limit: int = 100, cursor: str | None = None
    ) -> Page[Person]:
        """By id."""
        if collection is not None:
            self._collection(tenant, collection)
        everyone = self._of(tenant).persons.values()
        members = [person for person in everyone if collection is None or collection in person.collections]
        return _page({p.id: p for p in members if q.lower() in f"{p.id}\n{p.name}".lower()}, limit, cursor)

    async def delete_person(self, tenant: str, person_id: str, collection: str | None = None) -> Deletion:
        """Out of one collection, or altogether."""
        store, person = self._of(tenant), await self.person(tenant, person_id, collection)
        left = tuple(name for name in person.collections if collection is not None and name != collection)
        if left:
            store.persons[person_id] = replace(person, collections=left)
            return Deletion()
        del store.persons[person_id]
        return Deletion(persons=1, faces=len(person.faces), erased=True)

    # -- faces

    async def face(self, tenant: str, face_id: str) -> Face:
        """One face."""
        for person in self._of(tenant).persons.values():
            for face in person.faces:
                if face.id == face_id:
                    return face
        if face_id in self._of(tenant).unassigned:
            return self._of(tenant).unassigned[face_id]
        for unknown in self._of(tenant).unknowns.values():
            if face_id in unknown.faces:
                return fake_face(face_id, None, unknown.faces[face_id], unknown.last_seen)
        raise FaceIdNotFound(f"There is no face {face_id!r}.", face_id=face_id)

    async def faces(
        self, tenant: str, collection: str, q: str = "", limit: int = 100, offset: int = 0
    ) -> Slice[EnrolledFace]:
        """In the order of enrolment."""
        self._collection(tenant, collection)
        members = [p for p in self._of(tenant).persons.values() if collection in p.collections]
        kept = [person for person in members if q.lower() in f"{person.id}\n{person.name}".lower()]
        listed = [EnrolledFace(f, p) for p in kept for f in p.faces]
        listed += [EnrolledFace(face, None) for face in self._loose_in(tenant, collection) if not q]
        found = sorted(listed, key=lambda item: item.face.created)
        return Slice(tuple(found[offset : offset + limit]), len(found))

    async def delete_face(
        self,
        tenant: str,
        face_id: str,
        person_id: str | None = None,
        collection: str | None = None,
        with_person: bool = False,
    ) -> Deletion:
        """The person stays, unless told otherwise."""
        if collection is not None:
            self._collection(tenant, collection)
        face = await self.face(tenant, face_id)
        if face.person_id is None and person_id is None:
            return self._delete_loose(tenant, face_id, collection)
        if face.person_id is None or person_id not in {None, face.person_id}:
            raise FaceIdNotFound(f"There is no face {face_id!r} of {person_id!r}.", face_id=face_id)
        person = await self.person(tenant, face.person_id)
        if collection not in {None, *person.collections}:
            raise FaceIdNotFound(f"There is no face {face_id!r} in {collection!r}.", face_id=face_id)
        if with_person and len(person.faces) == 1:
            return await self.delete_person(tenant, person.id, collection)
        rest = tuple(other for other in person.faces if other.id != face_id)
        self._of(tenant).persons[person.id] = replace(person, faces=rest)
        return Deletion(faces=1, erased=True)

    async def face_image(self, tenant: str, face_id: str, kind: Literal["thumbnail", "photograph"]) -> bytes:
        """What the enrolment brought."""
        await self.face(tenant, face_id)
        content: bytes | None = getattr(self._of(tenant).new_faces[face_id], kind)
        if content is None:
            raise ImageNotStored(f"No {kind} of the face {face_id!r} was kept.", face_id=face_id)
        return content

    async def face_images(
        self, tenant: str, face_ids: Sequence[str], kind: Literal["thumbnail", "photograph"]
    ) -> tuple[bytes | None, ...]:
        """What the enrolments brought."""
        stored = self._of(tenant).new_faces
        return tuple(getattr(stored[id_], kind) if id_ in stored else None for id_ in face_ids)


def _page(items: Mapping[str, T], limit: int, cursor: str | None) -> Page[T]:
    if cursor is not None and not cursor.startswith("after:"):
        raise InvalidRequest(f"cursor: one from the page before was expected, got {cursor!r}")
    keys = [key for key in sorted(items) if cursor is None or key > cursor.removeprefix("after:")]
    page = tuple(items[key] for key in keys[:limit])
    return Page(page, f"after:{keys[limit - 1]}" if len(keys) > limit else None)
