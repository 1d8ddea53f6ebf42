"""Plans that merge two persons into one."""

from __future__ import annotations

import datetime as dt
from typing import Any

import sqlalchemy as sa

from serve_app.domain import Person, PersonFields
from serve_app.errors import InvalidRequest
from serve_app.gallery import checks
from serve_app.gallery.sql.records import collections, distinct_persons, faces, persons
from serve_app.gallery.sql.records.changes import Changes, Membership
from serve_app.gallery.writes.membership_plans import attach_and_detach, move, without
from serve_app.gallery.writes.policies import check_policies
from serve_app.gallery.writes.writer import Planned


def merge_persons(
    connection: sa.Connection, tenant: str, person_id: str, other_id: str, name: str | None
) -> Planned[Person]:
    """See ``Persons.merge_persons``."""
    if person_id == other_id:
        raise InvalidRequest(f"Another person than {checks.quoted(person_id)} was expected, to merge with.")
    within = None if name is None else collections.get(connection, tenant, name, "share")
    person, other = persons.get_all(connection, tenant, [person_id, other_id])
    persons_collections, others_collections = (
        collections.by_ids(connection, persons.collection_ids(connection, row.id), "share") for row in (person, other)
    )
    for row, memberships in ((person, persons_collections), (other, others_collections)):
        if within is not None and all(each.id != within.id for each in memberships):
            raise persons.not_found(row.external_id, name)
    both = [*persons_collections, *without(others_collections, persons_collections)]
    after = [each for each in both if each.name != collections.POOL] or both
    person_joins, other_joins = without(after, persons_collections), without(after, others_collections)
    persons_faces = faces.of_persons(connection, [person.id], template=True)
    others_faces = faces.of_persons(connection, [other.id], template=True)
    check_policies({}, [], persons_faces, person_joins)
    check_policies({}, [], others_faces, other_joins)

    columns = persons.values(person_id, _gaps_filled(person, other), person)
    columns["date_of_birth"] = person.date_of_birth or other.date_of_birth
    if person.consent is None:
        columns |= {"consent": other.consent, "consent_expires": other.consent_expires}
    now = dt.datetime.now(dt.UTC)
    changes = Changes(tenant, "merge_persons", update_person={"id": person.id, "modified": now, **columns})
    changes.give_faces = {row.id: person.id for row in others_faces}
    move(changes, person.id, persons_faces, person_joins, without(persons_collections, after))
    attach_and_detach(changes, others_faces, other_joins, without(others_collections, after))
    changes.leaves += [Membership(each.id, other.id) for each in others_collections]
    changes.statements += distinct_persons.inheritance(connection, tenant, person.id, other.id)
    changes.drop_persons = [other.id]
    return changes, lambda c: persons.load(c, [person.id])[person.id]


def _gaps_filled(person: sa.Row[Any], other: sa.Row[Any]) -> PersonFields:
    """The fields of the person, empty ones filled from the other; watch lists and metadata of both."""
    mine, theirs = person._mapping, other._mapping
    texts = {text: mine[text] or theirs[text] for text in checks.PERSON_TEXTS}
    lists = tuple(dict.fromkeys((*mine["watch_list"], *theirs["watch_list"])))
    return PersonFields(**texts, watch_list=lists, metadata={**theirs["metadata"], **mine["metadata"]})
