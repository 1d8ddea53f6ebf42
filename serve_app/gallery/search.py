"""Searches: nearest index rows first, then the persons that they stand for. Part of ``Gallery``.

The index only has rows; the records say which person a row belongs to, and have the templates whose cosines are
answered. A search fetches more rows than persons are wanted, because a person can have many faces and a face can be in
several of the searched collections. If these rows are not enough, twice as many are fetched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from serve_app.cancellation import check_wanted
from serve_app.domain import Collection, Face, GalleryAnswer, GalleryQuery, Match, Person, Threshold, Vectors
from serve_app.errors import FaceIdNotFound, InvalidRequest, LivenessRequired
from serve_app.gallery import checks
from serve_app.gallery.index.base import Hit, RowKey
from serve_app.gallery.privacy.audit_log import AuditQueue
from serve_app.gallery.sql.records import audit_chain, collections, faces, persons
from serve_app.gallery.writes.writer import Stores
from serve_app.score import Calibration, check_threshold, resolve_threshold

MAX_RESULTS = 1000
MAX_ROWS = 16_384
"""Most rows that a Milvus server returns for one probe."""

USUAL_COLLECTIONS = 8
"""A face is rarely in more collections than this; the first fetch allows for this many rows of each face."""

ROUNDING = 6
"""Decimal places of a cosine that are correct in float32 arithmetic. Rounded, equal templates have the cosine 1.0."""

Subject = tuple[str, str]
"""What a row stands for: ``("person", internal id)``, or ``("face", face id)`` for an unassigned face."""


class Search(Stores):
    """Implements :class:`~serve_app.contracts.search.Search`, synchronously. Part of ``Gallery``.

    Every search and verification is recorded in the audit log.
    """

    _audit: AuditQueue
    _allow_untraced: bool

    def search(self, tenant: str, query: GalleryQuery) -> GalleryAnswer:
        names = None if query.collections is None else list(dict.fromkeys(query.collections))
        if names is not None and not names:
            raise InvalidRequest("A search needs at least one collection, got none.")
        if not query.trace and not self._allow_untraced:
            raise InvalidRequest(
                "The settings do not allow leaving a search out of the audit log (audit.allow_untraced)."
            )
        if not 1 <= query.max_results <= MAX_RESULTS:
            raise InvalidRequest(f"max_results must be from 1 to {MAX_RESULTS}, got {query.max_results}.")
        with self._database.read() as connection:
            searched = (
                collections.everywhere(connection, tenant)
                if names is None
                else collections.by_names(connection, tenant, names)
            )
        liveness = _check_liveness(query, searched)
        threshold = _threshold(query, searched)
        if not len(query.probes):
            self._record_search(tenant, query, searched, [])
            return GalleryAnswer((), threshold, liveness)
        calibration = self._calibrations.get(checks.check_model(query.model))
        if calibration is None:
            raise InvalidRequest(f"The gallery has no calibration for the model {query.model}.")
        probes = checks.check_template(query.probes)
        found = self._nearest(query, probes, searched, calibration.cosine(threshold.min_score))
        self._record_search(tenant, query, searched, found)
        return GalleryAnswer(self._matches(found, searched, calibration, threshold), threshold, liveness)

    def verify(self, tenant: str, person_id: str, probe: Vectors, model: str) -> tuple[Face, float]:
        """Exact: compares the templates in the records and does not use the index."""
        row = checks.check_template(probe).reshape(-1)
        checks.check_model(model)
        with self._database.read() as connection:
            person = persons.get(connection, tenant, person_id)
            self._audit.put(tenant, audit_chain.Draft("verify", [person.id]))
            templates = faces.templates(connection, person.id, model)
            if not templates:
                raise FaceIdNotFound(
                    f"The person {checks.quoted(person_id)} has no face embedded by {model}.", person_id=person_id
                )
            if any(template.size != row.size for template in templates.values()):
                raise InvalidRequest(f"A probe of {row.size} dimensions was sent for the model {model}.")
            cosines = {face_id: float(template @ row) for face_id, template in templates.items()}
            best = max(cosines, key=lambda face_id: cosines[face_id])
            (stored,) = faces.of_ids(connection, [best])
        return faces.to_face(stored, person.external_id), min(1.0, max(-1.0, cosines[best]))

    def _record_search(
        self, tenant: str, query: GalleryQuery, searched: Sequence[Collection], found: Sequence[Mapping[Subject, Hit]]
    ) -> None:
        if not query.trace:
            return
        subjects = sorted({id_ for hits in found for kind, id_ in hits if kind == "person"})
        details = {"faces": len(query.probes), "matches": sum(map(len, found))}
        named = [collection.id for collection in searched] if query.collections is not None else []
        self._audit.put(tenant, audit_chain.Draft("search", subjects[: audit_chain.MOST_SUBJECTS], named, details))

    def _nearest(
        self, query: GalleryQuery, probes: Vectors, searched: Sequence[Collection], lowest: float
    ) -> list[dict[Subject, Hit]]:
        """For each probe, up to ``max_results`` subjects with the nearest row of each, highest cosine first."""
        wanted = query.max_results
        ids = [collection.id for collection in searched]
        if not ids:
            return [{} for _ in probes]
        found: list[dict[Subject, Hit]] = [{} for _ in probes]
        remaining_probes = list(range(len(probes)))
        ranks = {id_: rank for rank, id_ in enumerate(ids)}
        limit = min(MAX_ROWS, 2 * wanted * min(len(ids), USUAL_COLLECTIONS) + 8)
        while remaining_probes:
            rows = self._index.search(query.model, probes[remaining_probes], ids, limit)
            near = [[hit for hit in hits if round(hit.cosine, ROUNDING) >= lowest - 10**-ROUNDING] for hits in rows]
            trusted, owners, again = self._index_check.trusted(query.model, probes[remaining_probes], near, ranks)
            if again:
                continue
            if query.persons_only:
                owners = {key: person_id for key, person_id in owners.items() if person_id is not None}
            unfinished = []
            for probe, hits, believed in zip(remaining_probes, near, trusted, strict=True):
                check_wanted()
                found[probe] = _best(believed, owners, ranks, wanted)
                # All rows that were fetched are near enough, so there may be more.
                if len(found[probe]) < wanted and len(hits) >= limit and limit < MAX_ROWS:
                    unfinished.append(probe)
            remaining_probes, limit = unfinished, min(MAX_ROWS, 2 * limit)
        return found

    def _matches(
        self,
        found: Sequence[Mapping[Subject, Hit]],
        searched: Sequence[Collection],
        calibration: Calibration,
        threshold: Threshold,
    ) -> tuple[tuple[Match, ...], ...]:
        subjects = {subject for hits in found for subject in hits}
        if not subjects:
            return tuple(() for _ in found)
        with self._database.read() as connection:
            people, unassigned = _load(connection, subjects)
        names = {c.id: "" if c.name == collections.POOL else c.name for c in searched}
        answer = []
        for hits in found:
            check_wanted()
            matches = []
            for (kind, id_), hit in hits.items():
                cosine = min(1.0, max(-1.0, round(hit.cosine, ROUNDING)))
                score = calibration.score(cosine)
                person = people.get(id_) if kind == "person" else None
                faces_by_id = {face.id: face for face in person.faces} if person is not None else unassigned
                face = faces_by_id.get(hit.key.face_id)
                if face is not None and score >= threshold.min_score:  # a face that is None was erased since
                    matches.append(Match(names[hit.key.collection_id], person, face, score, 1.0 - cosine))
            answer.append(tuple(matches))
        return tuple(answer)


def _best(
    hits: Sequence[Hit], owners: Mapping[RowKey, str | None], rank: Mapping[str, int], wanted: int
) -> dict[Subject, Hit]:
    best: dict[Subject, Hit] = {}
    for hit in sorted(hits, key=lambda hit: (-hit.cosine, rank[hit.key.collection_id], hit.key.face_id)):
        if hit.key not in owners:
            continue  # not in the records: it is being written or erased
        person_id = owners[hit.key]
        subject = ("person", person_id) if person_id is not None else ("face", hit.key.face_id)
        if subject not in best:
            best[subject] = hit
            if len(best) == wanted:
                break
    return best


def _load(connection: sa.Connection, subjects: set[Subject]) -> tuple[dict[str, Person], dict[str, Face]]:
    people = persons.load(connection, [id_ for kind, id_ in subjects if kind == "person"])
    unassigned = [id_ for kind, id_ in subjects if kind == "face"]
    return people, {row.id: faces.to_face(row, row.external_id) for row in faces.of_ids(connection, unassigned)}


def _check_liveness(query: GalleryQuery, searched: Sequence[Collection]) -> float | None:
    demanded = max((c.policy.liveness_threshold for c in searched if c.policy.liveness), default=None)
    if demanded is not None and (query.liveness_threshold is None or query.liveness_threshold < demanded):
        raise LivenessRequired("A searched collection demands a liveness check.", threshold=demanded)
    return demanded


def _threshold(query: GalleryQuery, searched: Sequence[Collection]) -> Threshold:
    check_threshold(query.threshold)
    policies = [c.policy.min_score for c in searched if c.policy.min_score is not None]
    return resolve_threshold(query.threshold, sum(c.face_count for c in searched), max(policies, default=None))
