"""Unknowns in a dictionary; the part of the fake matcher that :class:`Unknowns` promises."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from serve_app.domain import (
    Collection,
    Deletion,
    Enrolment,
    Face,
    NewFace,
    Page,
    PersonFields,
    Sighting,
    ThresholdRequest,
    Unknown,
)
from serve_app.errors import InvalidRequest, UnknownNotFound, UnknownsNotKept
from serve_app.score import Calibration, resolve_threshold
from serve_app.stages.fake_loose_faces import fake_face


@dataclass
class FakeUnknown:
    """A cluster."""

    collection_id: str
    faces: dict[str, NewFace] = field(default_factory=dict)
    sightings: int = 0
    first_seen: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))
    last_seen: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))


class FakeUnknowns:
    """Implements :class:`~serve_app.contracts.unknowns.Unknowns`; nothing expires."""

    _calibration: Calibration

    def _of(self, tenant: str) -> Any:
        raise AssertionError("the fake matcher has it")

    def _collection(self, tenant: str, name: str) -> Collection:
        raise AssertionError("the fake matcher has it")

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
        """Enrol."""
        raise AssertionError("the fake matcher has it")

    async def keep_unknown(self, tenant: str, collection: str, faces: Sequence[NewFace]) -> tuple[Sighting | None, ...]:
        """By comparing with every face that is kept."""
        place, known = self._collection(tenant, collection), self._of(tenant).unknowns
        if not place.policy.keep_unknown_h:
            raise UnknownsNotKept(f"The policy of {collection!r} keeps no unknown faces.", collection=collection)
        here = {id_: unknown for id_, unknown in known.items() if unknown.collection_id == place.id}
        number = sum(len(unknown.faces) for unknown in here.values())
        lowest = self._calibration.cosine(resolve_threshold(ThresholdRequest(), number).min_score)
        answer = []
        for new in faces:
            cosines = {
                id_: max(float(face.template @ new.template) for face in unknown.faces.values())
                for id_, unknown in here.items()
            }
            best = max(cosines, key=lambda id_: cosines[id_], default="")
            is_new = not best or cosines[best] < lowest
            chosen = uuid.uuid4().hex if is_new else best
            unknown = known.setdefault(chosen, FakeUnknown(place.id))
            face_id = uuid.uuid4().hex
            unknown.faces[face_id] = self._of(tenant).new_faces[face_id] = new
            unknown.sightings += 1
            unknown.last_seen = dt.datetime.now(dt.UTC)
            answer.append(Sighting(chosen, is_new))
        return tuple(answer)

    async def unknowns(
        self, tenant: str, collection: str, limit: int = 100, cursor: str | None = None
    ) -> Page[Unknown]:
        """By position."""
        place = self._collection(tenant, collection)
        if cursor is not None and not cursor.isdecimal():
            raise InvalidRequest("cursor: one from the page before was expected")
        start = int(cursor or 0)
        here = [id_ for id_, unknown in self._of(tenant).unknowns.items() if unknown.collection_id == place.id]
        items = [await self.unknown(tenant, collection, id_) for id_ in reversed(here)]
        return Page(tuple(items[start : start + limit]), str(start + limit) if start + limit < len(items) else None)

    async def unknown(self, tenant: str, collection: str, unknown_id: str) -> Unknown:
        """One of them."""
        place = self._collection(tenant, collection)
        found = self._of(tenant).unknowns.get(unknown_id)
        if found is None or found.collection_id != place.id:
            raise UnknownNotFound(f"There is no unknown {unknown_id!r}.", unknown_id=unknown_id)
        expires = found.last_seen + dt.timedelta(hours=place.policy.keep_unknown_h)
        faces: list[Face] = [
            replace(fake_face(face_id, None, new, found.last_seen), expires=expires)
            for face_id, new in found.faces.items()
        ]
        return Unknown(unknown_id, collection, tuple(faces), found.sightings, found.first_seen, found.last_seen)

    async def name_unknown(
        self,
        tenant: str,
        collection: str,
        unknown_id: str,
        person_id: str,
        fields: PersonFields = PersonFields(),
        must_be_new: bool = False,
    ) -> Enrolment:
        """As an enrolment of the faces."""
        await self.unknown(tenant, collection, unknown_id)
        faces = list(self._of(tenant).unknowns[unknown_id].faces.values())
        enrolment = await self.put_person(tenant, person_id, (collection,), fields, faces, "add", must_be_new)
        del self._of(tenant).unknowns[unknown_id]
        return enrolment

    async def merge_unknowns(self, tenant: str, collection: str, unknown_id: str, others: Sequence[str]) -> Unknown:
        """Adds up."""
        if not others or unknown_id in others:
            raise InvalidRequest("Other unknowns were expected.")
        for each in (unknown_id, *others):
            await self.unknown(tenant, collection, each)
        into = self._of(tenant).unknowns[unknown_id]
        for other in dict.fromkeys(others):
            gone = self._of(tenant).unknowns.pop(other)
            into.faces.update(gone.faces)
            into.sightings += gone.sightings
        return await self.unknown(tenant, collection, unknown_id)

    async def discard_unknown(self, tenant: str, collection: str, unknown_id: str | None = None) -> Deletion:
        """One or all."""
        place, known = self._collection(tenant, collection), self._of(tenant).unknowns
        if unknown_id is not None:
            await self.unknown(tenant, collection, unknown_id)
        here = [id_ for id_, unknown in known.items() if unknown.collection_id == place.id]
        gone = [known.pop(id_) for id_ in here if unknown_id in (None, id_)]
        return Deletion(faces=sum(len(unknown.faces) for unknown in gone), erased=True)
