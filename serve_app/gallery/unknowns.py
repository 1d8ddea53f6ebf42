"""Unknowns: faces that searches did not know and kept, in clusters, until named or expired. A part of ``Gallery``.

A new face joins the cluster of the nearest kept face that is alike. Alike means what a search among so many faces would
report; two faces of one picture are never the same unknown.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Mapping, Sequence

import numpy as np

from serve_app.domain import (
    Collection,
    Deletion,
    Enrolment,
    NewFace,
    Page,
    PersonFields,
    Sighting,
    ThresholdRequest,
    Unknown,
)
from serve_app.errors import InvalidRequest
from serve_app.gallery import checks
from serve_app.gallery.index.base import VectorIndex
from serve_app.gallery.sql.database import Database
from serve_app.gallery.sql.records import audit_chain, collections, unknowns
from serve_app.gallery.writes import unknown_plans
from serve_app.gallery.writes.unknown_plans import Chosen
from serve_app.gallery.writes.writer import Writer
from serve_app.score import Calibration, resolve_threshold

MAX_FACES = 20
"""Faces that are kept of one unknown; further sightings are only counted, until faces have expired."""

MAX_AREA = 50_000
"""Faces that one collection keeps of unknowns; beyond, only known ones are counted."""

NEIGHBOURS = 50
MAX_MERGED = 100


class Unknowns:
    """The methods of :class:`~serve_app.contracts.unknowns.Unknowns`, synchronous."""

    _database: Database
    _index: VectorIndex
    _writer: Writer
    _calibrations: Mapping[str, Calibration]

    def __init__(self) -> None:
        super().__init__()
        self._keeping = threading.Lock()  # two searches that see the same stranger shall not make two of them

    def keep_unknown(self, tenant: str, collection: str, faces: Sequence[NewFace]) -> tuple[Sighting | None, ...]:
        """Processes beside this one may make two unknowns of a face that they see at the same moment."""
        for face in faces:
            checks.check_new_face(face)
        with self._database.read() as connection:
            place = collections.get(connection, tenant, collection)
            unknown_plans.check_keeps(place)
            area = collections.area(connection, place)
        if area is None:
            self._database.transact(lambda connection: collections.make_area(connection, place))
        if not faces:
            return ()
        with self._keeping:
            chosen = self._choose(place, faces)
            new = {each.face_id: face for each, face in zip(chosen, faces, strict=True) if each.face_id is not None}
            return self._writer.run(unknown_plans.keep(tenant, collection, chosen, new), images=new)

    def _choose(self, place: Collection, faces: Sequence[NewFace]) -> list[Chosen]:
        with self._database.read() as connection:
            area = collections.get_area(connection, place)
        model = faces[0].model
        if any(face.model != model for face in faces) or model not in self._calibrations:
            raise InvalidRequest("Faces of one model that the gallery has a calibration for were expected.")
        lowest = self._calibrations[model].cosine(resolve_threshold(ThresholdRequest(), area.face_count).min_score)
        hits = self._index.search(model, np.stack([face.template for face in faces]), [area.id], NEIGHBOURS)
        with self._database.read() as connection:
            near = {hit.key.face_id for found in hits for hit in found if hit.cosine >= lowest}
            owner = unknowns.of_faces(connection, near)
            kept = unknowns.counts(connection, sorted(set(owner.values())))
        taken: set[str] = set()
        chosen: list[Chosen] = []
        for found in hits:
            known = next(
                (
                    owner[hit.key.face_id]
                    for hit in found
                    if hit.cosine >= lowest and owner.get(hit.key.face_id, "") not in {"", *taken}
                ),
                None,
            )
            if known is not None:
                taken.add(known)
            room = area.face_count + len(chosen) < MAX_AREA and kept.get(known or "", 0) < MAX_FACES
            chosen.append(Chosen(known, uuid.uuid4().hex, uuid.uuid4().hex if room else None))
        return chosen

    def unknowns(self, tenant: str, collection: str, limit: int = 100, cursor: str | None = None) -> Page[Unknown]:
        with self._database.read() as connection:
            return unknowns.page(connection, collections.get(connection, tenant, collection), limit, cursor)

    def unknown(self, tenant: str, collection: str, unknown_id: str) -> Unknown:
        with self._database.read() as connection:
            return unknowns.get(connection, collections.get(connection, tenant, collection), unknown_id)

    def name_unknown(
        self,
        tenant: str,
        collection: str,
        unknown_id: str,
        person_id: str,
        fields: PersonFields = PersonFields(),
        must_be_new: bool = False,
    ) -> Enrolment:
        checks.check_person_id(person_id)
        checks.check_person_fields(fields)
        return self._writer.run(
            unknown_plans.name_unknown(tenant, collection, unknown_id, person_id, fields, must_be_new)
        )

    def merge_unknowns(self, tenant: str, collection: str, unknown_id: str, others: Sequence[str]) -> Unknown:
        if not 1 <= len(others) <= MAX_MERGED:
            raise InvalidRequest(f"1 to {MAX_MERGED} other unknowns were expected, got {len(others)}.")
        if unknown_id in others:
            raise InvalidRequest("An unknown cannot be merged with itself.")
        with self._database.write() as connection:
            place = collections.get(connection, tenant, collection, "share")
            there = unknowns.lock(connection, place.id, [unknown_id, *others])
            for wanted in (unknown_id, *others):
                if wanted not in there:
                    raise unknowns.not_found(wanted, collection)
            unknowns.merge(connection, unknown_id, others)
            merged = unknowns.get(connection, place, unknown_id)
            count = {"unknowns_merged": len({unknown_id, *others})}
            audit_chain.append(connection, tenant, [audit_chain.Draft("merge_unknowns", (), [place.id], count)])
            return merged

    def discard_unknown(self, tenant: str, collection: str, unknown_id: str | None = None) -> Deletion:
        return self._writer.run(unknown_plans.discard(tenant, collection, unknown_id))

    def forget_unknowns(self) -> int:
        """Erase unknowns whose faces have all expired; how many. House-keeping calls it."""
        return self._database.transact(unknowns.forget_empty)
