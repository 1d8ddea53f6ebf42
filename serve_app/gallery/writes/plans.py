"""What each writing operation changes: plans for :class:`~serve_app.gallery.writes.writer.Writer`.

A plan reads through the connection that it is given, locks what it builds on (collections first, then persons), and
raises the domain's errors. It changes nothing itself.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

import sqlalchemy as sa

from serve_app.domain import Collection, Deletion, Enrolment, NewFace, PersonFields
from serve_app.errors import (
    CollectionNotEmpty,
    FaceIdNotFound,
    FaceNotLive,
    LivenessRequired,
    PersonExists,
    QualityTooLow,
)
from serve_app.gallery import checks
from serve_app.gallery.index.base import IndexRow, RowKey
from serve_app.gallery.sql.records import collections, faces, persons
from serve_app.gallery.sql.records.changes import Changes, DroppedFace, Membership
from serve_app.gallery.sql.records.secondary_templates import SecondaryTemplates
from serve_app.gallery.writes.writer import Plan


def put_person(
    tenant: str,
    person_id: str,
    names: Sequence[str],
    fields: PersonFields,
    new: Mapping[str, NewFace],
    mode: Literal["replace", "add"],
    must_be_new: bool,
) -> Plan[Enrolment]:
    """See ``Matcher.put_person``; ``new`` holds the faces by the ids that they get."""

    def plan(connection: sa.Connection) -> tuple[Changes, Callable[[sa.Connection], Enrolment]]:
        named = collections.by_names(connection, tenant, list(dict.fromkeys(names)), "share")
        present = persons.find(connection, tenant, person_id, lock=True)
        if present is not None and must_be_new:
            raise PersonExists(f"There is already a person with the id {checks.shown(person_id)}.", person_id=person_id)
        if present is None and not named:
            named = [collections.get_pool(connection, tenant)]
        internal_id = present.id if present is not None else uuid.uuid4().hex
        already = persons.collection_ids(connection, internal_id)
        joined = [collection for collection in named if collection.id not in already]
        everywhere = [*collections.by_ids(connection, already, "share"), *joined]
        left = [c for c in everywhere if c.name == collections.POOL] if len(everywhere) > 1 else []
        everywhere = [collection for collection in everywhere if collection not in left]
        old = faces.of_persons(connection, [internal_id])
        kept = [] if new and mode == "replace" else old
        check_policies(new, everywhere, kept, joined)

        now = dt.datetime.now(dt.UTC)
        changes = Changes(
            tenant,
            "enrol" if new or present is None else "change_person",
            joins=[Membership(collection.id, internal_id) for collection in joined],
            leaves=[Membership(collection.id, internal_id) for collection in left],
        )
        columns = {"id": internal_id, "modified": now, **persons.values(person_id, fields, present)}
        if present is None:
            changes.insert_persons = [{**columns, "tenant_id": tenant, "external_id": person_id, "created": now}]
        else:
            changes.update_person = columns
        for position, (face_id, face) in enumerate(new.items()):
            changes.insert_faces.append(columns_of(tenant, internal_id, face_id, face, position, now))
            changes.attach[face.model] += [IndexRow(RowKey(c.id, face_id), face.template) for c in everywhere]
        changes.templates = further_of(new)
        if kept and joined:
            templates = faces.templates(connection, internal_id)
            for row in kept:
                vector = templates[row.id]
                changes.attach[row.model] += [IndexRow(RowKey(c.id, row.id), vector) for c in joined]
        for row in kept:
            changes.detach[row.model] += [RowKey(collection.id, row.id) for collection in left]
        if old and not kept:
            drop(connection, changes, old)

        def result(connection: sa.Connection) -> Enrolment:
            person = persons.load(connection, [internal_id])[internal_id]
            added = tuple(face for face in person.faces if face.id in new)
            return Enrolment(person, created=present is None, faces=added)

        return changes, result

    return plan


def delete_person(tenant: str, person_id: str, name: str | None) -> Plan[Deletion]:
    """See ``Matcher.delete_person``."""

    def plan(connection: sa.Connection) -> tuple[Changes, Callable[[sa.Connection], Deletion]]:
        collection = None if name is None else collections.get(connection, tenant, name, "share")
        person = persons.get(connection, tenant, person_id, lock=True)
        already = persons.collection_ids(connection, person.id)
        if collection is not None and collection.id not in already:
            raise persons.not_found(person_id, name)
        changes = Changes(tenant, "delete_person")
        rows = faces.of_persons(connection, [person.id])
        if collection is not None and already != {collection.id}:
            changes.leaves = [Membership(collection.id, person.id)]
            for row in rows:
                changes.detach[row.model].append(RowKey(collection.id, row.id))
            return changes, lambda _: Deletion()
        changes.leaves = [Membership(collection_id, person.id) for collection_id in already]
        drop(connection, changes, rows)
        changes.drop_persons = [person.id]
        return changes, lambda _: Deletion(persons=1, faces=len(rows), erased=True)

    return plan


def delete_collection(tenant: str, name: str, only_if_empty: bool, keep_persons: bool = False) -> Plan[Deletion]:
    """See ``Matcher.delete_collection``."""

    def plan(connection: sa.Connection) -> tuple[Changes, Callable[[sa.Connection], Deletion]]:
        collection = collections.get(connection, tenant, name, "update")
        here = persons.in_collection(connection, collection.id, lock=True)
        unassigned = faces.of_collection_without_person(connection, collection.id)
        if only_if_empty and (here or unassigned):
            raise CollectionNotEmpty(
                f"The collection {name} still holds {len(here)} persons and {len(unassigned)} faces without a person.",
                persons=len(here),
                faces=len(unassigned),
            )
        changes = Changes(tenant, "delete_collection", drop_collections=[collection.id])
        staying = persons.elsewhere(connection, collection.id)
        leaving = sorted(set(here) - staying)
        if keep_persons and leaving:
            to_pool(connection, changes, tenant, leaving)
            staying |= set(leaving)
            leaving = []
        changes.drop_persons = leaving
        changes.leaves = [Membership(collection.id, person_id) for person_id in here]
        places = faces.memberships(connection, [row.id for row in unassigned])
        shared = {key.face_id for key in places if key.collection_id != collection.id}
        dropped = [
            *faces.of_persons(connection, changes.drop_persons),
            *(row for row in unassigned if row.id not in shared),
        ]
        drop(connection, changes, dropped)
        strangers = _drop_area(connection, changes, collection)
        for row in (*faces.of_persons(connection, sorted(staying)), *(row for row in unassigned if row.id in shared)):
            changes.detach[row.model].append(RowKey(collection.id, row.id))
        outcome = Deletion(persons=len(changes.drop_persons), faces=len(dropped) + strangers, erased=True)
        return changes, lambda _: outcome

    return plan


def _drop_area(connection: sa.Connection, changes: Changes, collection: Collection) -> int:
    """The collection takes the faces of its unknowns with it; how many."""
    area = collections.area(connection, collection)
    if area is None:
        return 0
    rows = faces.of_collection_without_person(connection, area.id)
    drop(connection, changes, rows)
    changes.drop_collections.append(area.id)
    return len(rows)


def to_pool(connection: sa.Connection, changes: Changes, tenant: str, person_ids: Sequence[str]) -> None:
    """These persons (internal ids) join the pool with all their faces."""
    pool = collections.get_pool(connection, tenant)
    changes.joins += [Membership(pool.id, person_id) for person_id in person_ids]
    for row in faces.of_persons(connection, person_ids, template=True):
        changes.attach[row.model].append(IndexRow(RowKey(pool.id, row.id), faces.to_vector(row.template)))


def delete_face(
    tenant: str, face_id: str, person_id: str | None, name: str | None, with_person: bool
) -> Plan[Deletion]:
    """See ``Matcher.delete_face``."""

    def plan(connection: sa.Connection) -> tuple[Changes, Callable[[sa.Connection], Deletion]]:
        collection = None if name is None else collections.get(connection, tenant, name, "share")
        row = faces.find(connection, tenant, face_id)
        if row is not None and row.external_id is not None:
            persons.find(connection, tenant, row.external_id, lock=True)
            row = faces.find(connection, tenant, face_id)  # another writer may have erased it while we waited
        if row is None or (person_id is not None and row.external_id != person_id):
            raise unknown_face(face_id, person_id)
        if collection is not None and RowKey(collection.id, face_id) not in faces.memberships(connection, [face_id]):
            raise unknown_face(face_id, collection=name)
        if with_person and row.person_id is not None and len(faces.of_persons(connection, [row.person_id])) == 1:
            return delete_person(tenant, row.external_id, name)(connection)
        changes = Changes(tenant, "delete_face")
        drop(connection, changes, [row])
        if row.person_id is not None:
            changes.update_person = {"id": row.person_id, "modified": dt.datetime.now(dt.UTC)}
        return changes, lambda _: Deletion(faces=1, erased=True)

    return plan


def unknown_face(face_id: object, person_id: str | None = None, collection: str | None = None) -> FaceIdNotFound:
    """The error for a face that is not there (or not that person's, or not in that collection)."""
    whose = "" if person_id is None else f" of the person {checks.shown(person_id)}"
    where = "" if collection is None else f" in the collection {collection}"
    text = f"There is no face{whose} with the id {checks.shown(face_id)}{where}."
    return FaceIdNotFound(text, face_id=str(face_id)[:100])


def drop(connection: sa.Connection, changes: Changes, rows: Iterable[sa.Row[Any]]) -> None:
    """These faces cease to exist, wherever they are."""
    rows = list(rows)
    models = {row.id: row.model for row in rows}
    for key in faces.memberships(connection, models):
        changes.detach[models[key.face_id]].append(key)
    changes.drop_faces += [DroppedFace(row.id, row.model, row.has_thumbnail or row.has_photograph) for row in rows]


def check_policies(
    new: Mapping[str, NewFace],
    everywhere: Sequence[Collection],
    kept: Sequence[sa.Row[Any]],
    joined: Sequence[Collection],
) -> None:
    """New faces must satisfy all of the person's collections, present ones those that the person joins."""
    _check_live([(str(i), face.liveness, i) for i, face in enumerate(new.values())], everywhere)
    _check_live([(row.id, row.liveness, None) for row in kept], joined)
    _check_quality([(str(i), face.quality, i) for i, face in enumerate(new.values())], everywhere)
    _check_quality([(row.id, row.quality, None) for row in kept], joined)


def _check_live(probabilities: Sequence[tuple[str, float | None, int | None]], demanding: Sequence[Collection]) -> None:
    thresholds = {c.policy.liveness_threshold: c.name for c in demanding if c.policy.liveness}
    if not thresholds:
        return
    threshold = max(thresholds)
    for label, probability, image in probabilities:
        details: dict[str, Any] = {"threshold": threshold, "collection": thresholds[threshold]}
        if image is None:
            details["face_id"] = label
        else:
            details["image"] = image
        if probability is None:
            raise LivenessRequired(
                f"The collection {thresholds[threshold]} demands a liveness check; the face {label} had none.",
                **details,
            )
        if probability < threshold:
            raise FaceNotLive(
                f"The face {label} is not live: probability {probability:.2f}, needed {threshold:.2f}.",
                probability=probability,
                **details,
            )


def _check_quality(qualities: Sequence[tuple[str, float, int | None]], demanding: Sequence[Collection]) -> None:
    if not demanding:
        return
    strictest = max(demanding, key=lambda collection: collection.policy.reject_below)
    needed = strictest.policy.reject_below
    for label, quality, image in qualities:
        if quality < needed:
            details: dict[str, Any] = {"face_id": label} if image is None else {"image": image}
            raise QualityTooLow(
                f"The face {label} is not good enough for the collection {strictest.name}: quality {quality:.2f}, "
                f"needed {needed:.2f}.",
                codes=[],
                quality=quality,
                needed=needed,
                collection=strictest.name,
                **details,
            )


def further_of(new: Mapping[str, NewFace]) -> SecondaryTemplates:
    """The templates by further models that new faces bring."""
    return {face_id: face.further for face_id, face in new.items() if face.further}


def columns_of(
    tenant: str, person_id: str | None, face_id: str, face: NewFace, position: int, now: dt.datetime
) -> dict[str, Any]:
    """A new face's row; ``person_id`` is internal."""
    return {
        "id": face_id,
        "tenant_id": tenant,
        "person_id": person_id,
        "position": position,
        "image_id": face.image_id,
        "model": face.model,
        "template": faces.to_bytes(face.template),
        "box_x": face.box.x,
        "box_y": face.box.y,
        "box_width": face.box.width,
        "box_height": face.box.height,
        "quality": face.quality,
        "detection_score": face.detection_score,
        "liveness": face.liveness,
        "storage": str(face.storage),
        "has_thumbnail": face.thumbnail is not None,
        "has_photograph": face.photograph is not None,
        "user_id": "",
        "created": now,
        "expires": None,
        "appearance": faces.to_json(face.appearance),
    }
