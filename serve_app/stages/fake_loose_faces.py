"""Faces without a person in a dictionary; the part of the fake matcher that :class:`UnassignedFaces` promises."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from serve_app.domain import Collection, Deletion, Face, NewFace, UnassignedFacesChange
from serve_app.errors import FaceIdNotFound, LivenessRequired

LIFETIME = dt.timedelta(hours=72)


class FakeLooseFaces:
    """Implements :class:`~serve_app.contracts.unassigned_faces.UnassignedFaces`."""

    def _of(self, tenant: str) -> Any:
        raise AssertionError("the fake matcher has it")

    def _collection(self, tenant: str, name: str) -> Collection:
        raise AssertionError("the fake matcher has it")

    async def face(self, tenant: str, face_id: str) -> Face:
        """One face."""
        raise AssertionError("the fake matcher has it")

    async def add_faces(self, tenant: str, faces: Sequence[NewFace]) -> tuple[Face, ...]:
        """Expiring."""
        store, now = self._of(tenant), dt.datetime.now(dt.UTC)
        added = {uuid.uuid4().hex: new for new in faces}
        store.new_faces.update(added)
        stored = [replace(fake_face(id_, None, new, now), expires=now + LIFETIME) for id_, new in added.items()]
        store.unassigned.update({face.id: face for face in stored})
        return tuple(stored)

    async def attach_faces(
        self, tenant: str, collection: str, face_ids: Sequence[str], limit: int | None = None
    ) -> UnassignedFacesChange:
        """Takes the expiry away."""
        found, store = self._collection(tenant, collection), self._of(tenant)
        here = store.places.setdefault(found.id, [])
        wanted = list(dict.fromkeys(face_ids))
        joining = [face_id for face_id in wanted if face_id in store.unassigned and face_id not in here]
        demanded = found.policy.liveness_threshold if found.policy.liveness else 0.0
        if any((store.unassigned[face_id].liveness or 0.0) < demanded for face_id in joining):
            raise LivenessRequired("The collection demands a liveness check.", threshold=demanded)
        room = len(joining) if limit is None else max(0, limit - found.face_count)
        for face_id in joining[:room]:
            here.append(face_id)
            store.unassigned[face_id] = replace(store.unassigned[face_id], expires=None)
        unknown = tuple(face_id for face_id in wanted if face_id not in store.unassigned)
        after = self._collection(tenant, collection)
        return UnassignedFacesChange(after, tuple(joining[:room]), unknown, tuple(joining[room:]))

    async def detach_faces(self, tenant: str, collection: str, face_ids: Sequence[str] | None) -> UnassignedFacesChange:
        """Lets those expire that are nowhere any more."""
        found, store = self._collection(tenant, collection), self._of(tenant)
        here = store.places.setdefault(found.id, [])
        wanted = list(dict.fromkeys(here if face_ids is None else face_ids))
        leaving = [face_id for face_id in wanted if face_id in here]
        for face_id in leaving:
            here.remove(face_id)
            if not self._is_placed(store, face_id):
                expires = dt.datetime.now(dt.UTC) + LIFETIME
                store.unassigned[face_id] = replace(store.unassigned[face_id], expires=expires)
        unknown = tuple(face_id for face_id in wanted if face_id not in leaving)
        return UnassignedFacesChange(self._collection(tenant, collection), tuple(leaving), unknown)

    async def face_collections(self, tenant: str, face_id: str) -> tuple[Collection, ...]:
        """Of a person's face: where the person is."""
        face, store = await self.face(tenant, face_id), self._of(tenant)
        names = store.persons[face.person_id].collections if face.person_id is not None else ()
        own = [c.name for c in store.collections.values() if c.name in names or face_id in store.places.get(c.id, ())]
        return tuple(self._collection(tenant, name) for name in own)

    async def set_user_id(self, tenant: str, face_id: str, user_id: str) -> Face:
        """Changes the face."""
        store = self._of(tenant)
        if face_id not in store.unassigned:
            raise FaceIdNotFound(f"There is no face {face_id!r}.", face_id=face_id)
        store.unassigned[face_id] = replace(store.unassigned[face_id], user_id=user_id)
        changed: Face = store.unassigned[face_id]
        return changed

    def _loose_in(self, tenant: str, name: str) -> list[Face]:
        store = self._of(tenant)
        return [store.unassigned[face_id] for face_id in store.places.get(self._collection(tenant, name).id, ())]

    def _is_placed(self, store: Any, face_id: str) -> bool:
        return any(face_id in faces for faces in store.places.values())

    def _delete_loose(self, tenant: str, face_id: str, collection: str | None) -> Deletion:
        store = self._of(tenant)
        if collection is not None and face_id not in store.places.get(self._collection(tenant, collection).id, ()):
            raise FaceIdNotFound(f"There is no face {face_id!r} in {collection!r}.", face_id=face_id)
        for faces in store.places.values():
            if face_id in faces:
                faces.remove(face_id)
        del store.unassigned[face_id]
        return Deletion(faces=1, erased=True)


def fake_face(face_id: str, person_id: str | None, new: NewFace, now: dt.datetime) -> Face:
    """A face as the gallery would show it."""
    shared = ("image_id", "box", "quality", "detection_score", "model", "storage", "liveness", "appearance")
    return Face(face_id, person_id, created=now, **{name: getattr(new, name) for name in shared})
