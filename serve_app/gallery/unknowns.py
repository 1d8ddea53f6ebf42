"""Unknowns: clusters of faces that searches did not recognise and kept, until named or expired. Part of ``Gallery``.

A new face joins the unknown of the most similar kept face, if a search of this many faces would report that one as a
match. Two faces of one image are never the same unknown.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence

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
from serve_app.gallery.sql.records import audit_chain, collections, unknowns
from serve_app.gallery.writes import unknown_plans
from serve_app.gallery.writes.unknown_plans import Assignment
from serve_app.gallery.writes.writer import Stores
from serve_app.score import resolve_threshold

MAX_FACES = 20
"""Most faces that are kept of one unknown; further sightings are only counted, until faces have expired."""

MAX_FACES_PER_COLLECTION = 50_000
"""Most faces that one collection keeps of all its unknowns. When it is full, only sightings of existing unknowns are
counted."""

NEIGHBOURS = 50
"""Number of most similar kept faces that are considered for each new face."""

MAX_MERGED = 100


class Unknowns(Stores):
    """Implements :class:`~serve_app.contracts.unknowns.Unknowns`, synchronously. Part of ``Gallery``."""

    def keep_unknown(self, tenant: str, collection: str, faces: Sequence[NewFace]) -> tuple[Sighting | None, ...]:
        for face in faces:
            checks.check_new_face(face)
        with self._database.read() as connection:
            stored = collections.get(connection, tenant, collection)
            unknown_plans.check_keeps(stored)
            hidden = collections.unknowns_collection(connection, stored)
        if hidden is None:
            self._database.transact(lambda c: collections.make_unknowns_collection(c, stored))
        if not faces:
            return ()
        # Otherwise two searches that find the same new face at the same time would make two unknowns of it.
        with self._database.exclusive(f"unknowns {stored.id}"):
            assignments = self._assign(stored, faces)
            new = {
                each.face_id: face for each, face in zip(assignments, faces, strict=True) if each.face_id is not None
            }
            return self._writer.run(lambda c: unknown_plans.keep(c, tenant, collection, assignments, new), new)

    def _assign(self, collection: Collection, faces: Sequence[NewFace]) -> list[Assignment]:
        with self._database.read() as connection:
            hidden = collections.get_unknowns_collection(connection, collection)
        model = faces[0].model
        if any(face.model != model for face in faces) or model not in self._calibrations:
            raise InvalidRequest("Faces embedded by one model, for which the gallery has a calibration, were expected.")
        lowest = self._calibrations[model].cosine(resolve_threshold(ThresholdRequest(), hidden.face_count).min_score)
        probes = np.stack([face.template for face in faces])
        rows = self._index.search(model, probes, [hidden.id], NEIGHBOURS)
        hits, _, _ = self._index_check.trusted(model, probes, rows, {hidden.id})
        with self._database.read() as connection:
            near = {hit.key.face_id for found in hits for hit in found if hit.cosine >= lowest}
            owner = unknowns.of_faces(connection, near)
            kept = unknowns.counts(connection, sorted(set(owner.values())))
        assigned: set[str] = set()
        assignments: list[Assignment] = []
        for found in hits:
            known = next(
                (
                    owner[hit.key.face_id]
                    for hit in found
                    if hit.cosine >= lowest and owner.get(hit.key.face_id, "") not in {"", *assigned}
                ),
                None,
            )
            if known is not None:
                assigned.add(known)
            has_room = (
                hidden.face_count + len(assignments) < MAX_FACES_PER_COLLECTION and kept.get(known or "", 0) < MAX_FACES
            )
            assignments.append(Assignment(known, uuid.uuid4().hex, uuid.uuid4().hex if has_room else None))
        return assignments

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
            lambda c: unknown_plans.name_unknown(c, tenant, collection, unknown_id, person_id, fields, must_be_new)
        )

    def merge_unknowns(self, tenant: str, collection: str, unknown_id: str, others: Sequence[str]) -> Unknown:
        if not 1 <= len(others) <= MAX_MERGED:
            raise InvalidRequest(f"1 to {MAX_MERGED} other unknowns were expected, got {len(others)}.")
        if unknown_id in others:
            raise InvalidRequest("An unknown cannot be merged with itself.")
        with self._database.write() as connection:
            stored = collections.get(connection, tenant, collection, "share")
            existing = unknowns.lock(connection, stored.id, [unknown_id, *others])
            for wanted in (unknown_id, *others):
                if wanted not in existing:
                    raise unknowns.not_found(wanted, collection)
            unknowns.merge(connection, unknown_id, others)
            merged = unknowns.get(connection, stored, unknown_id)
            count = {"unknowns_merged": len({unknown_id, *others})}
            audit_chain.append(connection, tenant, [audit_chain.Draft("merge_unknowns", (), [stored.id], count)])
            return merged

    def discard_unknown(self, tenant: str, collection: str, unknown_id: str | None = None) -> Deletion:
        return self._writer.run(lambda c: unknown_plans.discard(c, tenant, collection, unknown_id))

    def forget_unknowns(self) -> int:
        """Delete unknowns whose faces have all expired; the number deleted. Part of maintenance."""
        return self._database.transact(unknowns.forget_empty)
