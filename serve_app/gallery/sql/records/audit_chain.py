"""Statements about the audit log: a hash chain for each tenant, in which each entry has the hash of the one before."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from serve_app.cancellation import check_wanted
from serve_app.domain import AuditCheck, AuditEntry, Page, canonical
from serve_app.gallery import checks
from serve_app.gallery.sql.records.changes import Changes
from serve_app.gallery.sql.records.collections import owners_of_unknowns_collections
from serve_app.gallery.sql.records.statements import batches, cut, to_value
from serve_app.gallery.sql.schema import audit_heads, audit_log
from serve_app.request_context import current

MOST_SUBJECTS = 1000
"""Subjects of one entry; an operation on more persons is recorded in several entries."""


@dataclass(frozen=True, slots=True)
class Draft:
    """An entry that is not yet in the chain; see :class:`~serve_app.domain.AuditEntry`.

    Attributes:
        actor: by default the caller of the current request.
        time: by default now; timezone-aware.
    """

    action: str
    subjects: Sequence[str] = ()
    collections: Sequence[str] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    actor: str = field(default_factory=lambda: current().caller)
    time: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))


def of_changes(connection: sa.Connection, changes: Changes) -> list[Draft]:
    """The entries that record a write; none if it changes nothing.

    Instead of an unknowns collection, an entry names the collection that it belongs to.
    """
    memberships = (*changes.joins, *changes.leaves)
    written = (*changes.insert_persons, *filter(None, [changes.update_person]))
    subjects = {*changes.drop_persons, *(each.person_id for each in memberships), *(each["id"] for each in written)}
    keys = (*changes.attached(), *changes.detached())
    collections = {*changes.drop_collections, *(collection_id for collection_id, _ in (*memberships, *keys))}
    owner_of = owners_of_unknowns_collections(connection, collections)
    collections = {owner_of.get(collection_id, collection_id) for collection_id in collections}
    counts = {
        "faces_added": len(changes.insert_faces),
        "faces_given": len(changes.give_faces),
        "faces_erased": len(changes.drop_faces),
        "persons_erased": len(changes.drop_persons),
    }
    details = {name: number for name, number in counts.items() if number}
    if not (subjects or collections or details):
        return []
    parts = list(batches(sorted(subjects), MOST_SUBJECTS)) or [()]
    return [Draft(changes.action, part, sorted(collections), details) for part in parts]


def append(connection: sa.Connection, chain: str, drafts: Sequence[Draft]) -> list[AuditEntry]:
    """Append entries to a chain. A transaction does this last: from here on, other writers of the chain wait for it."""
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
    """The hash of an entry: SHA-256 (hex) over all its fields except the hash itself."""
    return hashlib.sha256(canonical(plain(facts))).hexdigest()


def plain(entry: AuditEntry | Mapping[str, Any]) -> dict[str, Any]:
    """An entry as JSON-ready values; the time in UTC to the microsecond."""
    facts = entry if isinstance(entry, Mapping) else {name: getattr(entry, name) for name in AuditEntry.__slots__}
    return {
        **facts,
        "time": facts["time"].astimezone(dt.UTC).isoformat(timespec="microseconds"),
        "subjects": list(facts["subjects"]),
        "collections": list(facts["collections"]),
        "details": dict(facts["details"]),
    }


def from_plain(facts: Mapping[str, Any]) -> AuditEntry:
    """The inverse of :func:`plain`. Raises KeyError, TypeError, ValueError."""
    texts = {name: tuple(facts[name]) for name in ("subjects", "collections")}
    return AuditEntry(**{**facts, **texts, "time": dt.datetime.fromisoformat(facts["time"])})


def page(
    connection: sa.Connection, chain: str, subject: str | None, limit: int, cursor: str | None
) -> Page[AuditEntry]:
    """A page of a chain, newest entry first; ``subject`` (internal id) keeps entries about that person.

    Raises InvalidRequest (cursor, limit).
    """
    query = sa.select(audit_log).where(audit_log.c.chain == chain).order_by(audit_log.c.sequence.desc())
    if subject is not None:
        query = query.where(sa.cast(audit_log.c.subjects, sa.Text).contains(subject, autoescape=True))
    if (after := checks.decode_cursor(cursor, checks.whole)) is not None:
        query = query.where(audit_log.c.sequence < after)
    rows, following = cut(connection, query, limit, lambda row: str(row.sequence))
    return Page(tuple(map(to_entry, rows)), following)


def entries(connection: sa.Connection, chain: str) -> Iterator[AuditEntry]:
    """All entries of a chain, oldest first."""
    after = 0
    while True:
        check_wanted()
        query = sa.select(audit_log).where(audit_log.c.chain == chain, audit_log.c.sequence > after)
        rows = connection.execute(query.order_by(audit_log.c.sequence).limit(1000)).all()
        yield from (to_entry(row) for row in rows)
        if len(rows) < 1000:
            return
        after = rows[-1].sequence


def head(connection: sa.Connection, chain: str) -> tuple[int, str]:
    """Sequence number and hash of a chain's last entry; (0, "") before the first one."""
    row = connection.execute(sa.select(audit_heads).where(audit_heads.c.chain == chain)).first()
    return (0, "") if row is None else (row.sequence, row.hash)


def check(chain: Iterator[AuditEntry], last: tuple[int, str]) -> AuditCheck:
    """Check that the entries are an unbroken chain that ends with ``last`` (see :func:`head`).

    The chain may begin with any sequence number, because old entries are erased.
    """
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
    """Whether an entry of the chain has this hash."""
    query = sa.select(audit_log.c.sequence).where(audit_log.c.chain == chain, audit_log.c.hash == hash_)
    return checks.is_text(hash_) and connection.execute(query).first() is not None


def forget(connection: sa.Connection, before: dt.datetime) -> int:
    """Erase the entries before this time in all chains, but never the last one of a chain; the number erased."""
    last = (
        sa.select(audit_heads.c.sequence).where(audit_heads.c.chain == audit_log.c.chain).correlate(audit_log)
    ).scalar_subquery()
    # Only entries before the first one that stays: what is left of a chain must have no gaps.
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
    return to_value(AuditEntry, row, subjects=tuple(row.subjects), collections=tuple(row.collections))
