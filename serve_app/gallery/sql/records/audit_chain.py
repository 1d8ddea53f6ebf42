"""Statements about the audit log: a chain of entries for each tenant, each with the hash of the one before."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from serve_app.domain import AuditCheck, AuditEntry, Page, canonical
from serve_app.gallery import checks
from serve_app.gallery.sql.records.changes import Changes
from serve_app.gallery.sql.records.collections import of_areas
from serve_app.gallery.sql.records.faces import batches
from serve_app.gallery.sql.schema import audit_heads, audit_log
from serve_app.request_context import current

MOST_SUBJECTS = 1000
"""Of one entry; what concerns more persons is recorded in several."""


@dataclass(frozen=True, slots=True)
class Draft:
    """An entry before it has its place in the chain."""

    action: str
    subjects: Sequence[str] = ()
    collections: Sequence[str] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    actor: str = field(default_factory=lambda: current().caller)
    time: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))


def of_changes(connection: sa.Connection, changes: Changes) -> list[Draft]:
    """What a write is recorded as; nothing if it changes nothing. Where unknown faces are, the collection is named."""
    subjects = set(changes.drop_persons)
    subjects.update(place.person_id for place in (*changes.joins, *changes.leaves))
    subjects.update(columns["id"] for columns in changes.insert_persons)
    if changes.update_person is not None:
        subjects.add(changes.update_person["id"])
    places = {place.collection_id for place in (*changes.joins, *changes.leaves)}
    places.update(row.key.collection_id for rows in changes.attach.values() for row in rows)
    places.update(key.collection_id for keys in changes.detach.values() for key in keys)
    places.update(changes.drop_collections)
    area_of = of_areas(connection, places)
    places = {area_of.get(place, place) for place in places}
    counts = {
        "faces_added": len(changes.insert_faces),
        "faces_given": len(changes.give_faces),
        "faces_erased": len(changes.drop_faces),
        "persons_erased": len(changes.drop_persons),
    }
    details = {name: number for name, number in counts.items() if number}
    if not (subjects or places or details):
        return []
    parts = list(batches(sorted(subjects), MOST_SUBJECTS)) or [()]
    return [Draft(changes.action, part, sorted(places), details) for part in parts]


def append(connection: sa.Connection, chain: str, drafts: Sequence[Draft]) -> list[AuditEntry]:
    """Add entries to a chain. The last thing that a transaction does: other writers of the chain wait from here on."""
    if not drafts:
        return []
    query = sa.select(audit_heads).where(audit_heads.c.chain == chain).with_for_update()
    head = connection.execute(query).first()
    if head is None:
        connection.execute(audit_heads.insert().values(chain=chain, sequence=0, hash=""))
    sequence, previous = (head.sequence, head.hash) if head is not None else (0, "")
    entries = []
    for draft in drafts:
        sequence += 1
        facts: dict[str, Any] = {
            "chain": chain,
            "sequence": sequence,
            "time": draft.time.astimezone(dt.UTC),
            "actor": draft.actor,
            "action": draft.action,
            "subjects": tuple(draft.subjects),
            "collections": tuple(draft.collections),
            "details": dict(draft.details),
            "previous": previous,
        }
        previous = digest(facts)
        entries.append(AuditEntry(**facts, hash=previous))
    rows = [{**plain(entry), "time": entry.time} for entry in entries]
    connection.execute(audit_log.insert(), rows)
    connection.execute(
        audit_heads.update().where(audit_heads.c.chain == chain).values(sequence=sequence, hash=previous)
    )
    return entries


def digest(facts: Mapping[str, Any]) -> str:
    """SHA-256 over everything but the hash itself, hex."""
    return hashlib.sha256(canonical(plain(facts))).hexdigest()


def plain(entry: AuditEntry | Mapping[str, Any]) -> dict[str, Any]:
    """JSON-ready; the time to the microsecond in UTC."""
    names = AuditEntry.__slots__
    facts = entry if isinstance(entry, Mapping) else {name: getattr(entry, name) for name in names}
    time = facts["time"].astimezone(dt.UTC).isoformat(timespec="microseconds")
    return {
        **facts,
        "time": time,
        "subjects": list(facts["subjects"]),
        "collections": list(facts["collections"]),
        "details": dict(facts["details"]),
    }


def from_plain(facts: Mapping[str, Any]) -> AuditEntry:
    """The inverse of :func:`plain`. Raises KeyError, TypeError, ValueError."""
    time = dt.datetime.fromisoformat(facts["time"])
    return AuditEntry(
        **{
            **facts,
            "time": time,
            "subjects": tuple(facts["subjects"]),
            "collections": tuple(facts["collections"]),
        }
    )


def page(
    connection: sa.Connection, chain: str, subject: str | None, limit: int, cursor: str | None
) -> Page[AuditEntry]:
    """Newest first; ``subject`` (internal id) keeps what concerns that person. Raises InvalidRequest."""
    limit = checks.check_limit(limit)
    after = checks.decode_cursor(cursor)
    query = sa.select(audit_log).where(audit_log.c.chain == chain)
    if subject is not None:
        query = query.where(sa.cast(audit_log.c.subjects, sa.Text).contains(subject, autoescape=True))
    if after is not None:
        known = re.fullmatch(r"[0-9]{1,15}", after)
        query = query.where(audit_log.c.sequence < checks.check_offset(int(after) if known else after))
    rows = connection.execute(query.order_by(audit_log.c.sequence.desc()).limit(limit + 1)).all()
    following = checks.encode_cursor(str(rows[limit - 1].sequence)) if len(rows) > limit else None
    return Page(tuple(to_entry(row) for row in rows[:limit]), following)


def entries(connection: sa.Connection, chain: str) -> Iterator[AuditEntry]:
    """All of them, oldest first."""
    after = 0
    while True:
        query = sa.select(audit_log).where(audit_log.c.chain == chain, audit_log.c.sequence > after)
        rows = connection.execute(query.order_by(audit_log.c.sequence).limit(1000)).all()
        yield from (to_entry(row) for row in rows)
        if len(rows) < 1000:
            return
        after = rows[-1].sequence


def head(connection: sa.Connection, chain: str) -> tuple[int, str]:
    """Sequence number and hash of the last entry; (0, "") before the first."""
    row = connection.execute(sa.select(audit_heads).where(audit_heads.c.chain == chain)).first()
    return (0, "") if row is None else (row.sequence, row.hash)


def check(chain: Iterator[AuditEntry], last: tuple[int, str]) -> AuditCheck:
    """Whether the entries are an unbroken chain up to ``last``; it may begin anywhere, since old entries are erased."""
    count, previous, sequence = 0, None, 0
    for entry in chain:
        facts = {name: getattr(entry, name) for name in AuditEntry.__slots__ if name != "hash"}
        follows = previous is None or (entry.previous == previous and entry.sequence == sequence + 1)
        if not follows or digest(facts) != entry.hash:
            return AuditCheck(count, sequence + 1 if previous is not None else entry.sequence, last[1])
        count, previous, sequence = count + 1, entry.hash, entry.sequence
    whole = (previous is None and last[0] == 0) or (sequence, previous) == last
    return AuditCheck(count, None if whole else sequence + 1, last[1])


def has(connection: sa.Connection, chain: str, hash_: str) -> bool:
    """Whether an entry has this hash."""
    query = sa.select(audit_log.c.sequence).where(audit_log.c.chain == chain, audit_log.c.hash == hash_)
    return checks.is_text(hash_) and connection.execute(query).first() is not None


def forget(connection: sa.Connection, before: dt.datetime) -> int:
    """Erase entries of all chains that are older, but never a chain's last one; how many."""
    last = (
        sa.select(audit_heads.c.sequence).where(audit_heads.c.chain == audit_log.c.chain).correlate(audit_log)
    ).scalar_subquery()
    # Whole beginnings only: what is left of a chain must be one piece.
    kept = (
        sa.select(sa.func.min(_LATER.c.sequence))
        .where(_LATER.c.chain == audit_log.c.chain, _LATER.c.time >= before)
        .correlate(audit_log)
    ).scalar_subquery()
    old = sa.and_(audit_log.c.sequence < sa.func.coalesce(kept, last), audit_log.c.time < before)
    return connection.execute(audit_log.delete().where(old)).rowcount


_LATER = audit_log.alias()


def to_entry(row: sa.Row[Any]) -> AuditEntry:
    """A row of the table as a domain value."""
    return AuditEntry(
        chain=row.chain,
        sequence=row.sequence,
        time=row.time,
        actor=row.actor,
        action=row.action,
        subjects=tuple(row.subjects),
        collections=tuple(row.collections),
        details=row.details,
        previous=row.previous,
        hash=row.hash,
    )
