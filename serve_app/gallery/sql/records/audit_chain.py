"""Statements about the audit log: a hash chain for each tenant, in which each entry has the hash of the one before.

The head of a chain, its last number and hash, is a row of another table, with the signature of the installation. It
exists from the creation of the chain on. A chain begins with number 1; or entries were forgotten by age, and an entry
``forget_audit`` says with which one it begins since. So a cut at the start, at the end, or of everything is found.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from serve_app.cancellation import check_wanted
from serve_app.domain import AuditCheck, AuditEntry, Page
from serve_app.gallery import checks
from serve_app.gallery.sql.records.audit_check import DAMAGED, FORGET, Head, check, digest, missing_before, plain
from serve_app.gallery.sql.records.changes import Changes
from serve_app.gallery.sql.records.collections import owners_of_unknowns_collections
from serve_app.gallery.sql.records.statements import batches, cut, to_value
from serve_app.gallery.sql.schema import audit_heads, audit_log
from serve_app.gallery.sql.signing import sign_head, signer_of
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


def begin(connection: sa.Connection, chain: str) -> None:
    """Create the head of a new chain, which has no entries."""
    signature = sign_head(signer_of(connection), chain, 0, "")
    connection.execute(audit_heads.insert().values(chain=chain, sequence=0, hash="", signature=signature))


def append(connection: sa.Connection, chain: str, drafts: Sequence[Draft]) -> list[AuditEntry]:
    """Append entries to a chain. A transaction does this last: from here on, other writers of the chain wait for it.

    If the head is missing or not genuine, an entry :data:`DAMAGED` comes first: a chain that was cut off must not look
    intact because its new head is signed.
    """
    if not drafts:
        return []
    found = head(connection, chain, lock=True)
    if found is None:
        begin(connection, chain)
    if found is None or not found.genuine:
        last = sa.select(audit_log.c.sequence, audit_log.c.hash).where(audit_log.c.chain == chain)
        row = connection.execute(last.order_by(audit_log.c.sequence.desc()).limit(1)).first()
        claimed = None if found is None else found.sequence
        drafts = [Draft(DAMAGED, details={"head": claimed}, actor="internal"), *drafts]
        sequence, previous = max(
            (row.sequence, row.hash) if row else (0, ""), (claimed or 0, found.hash if found else "")
        )
    else:
        sequence, previous = found.sequence, found.hash
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
    signature = sign_head(signer_of(connection), chain, sequence, previous)
    values = {"sequence": sequence, "hash": previous, "signature": signature}
    connection.execute(audit_heads.update().where(audit_heads.c.chain == chain).values(**values))
    return entries


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


def head(connection: sa.Connection, chain: str, lock: bool = False) -> Head | None:
    """The end of a chain, None if its row is missing."""
    query = sa.select(audit_heads).where(audit_heads.c.chain == chain)
    row = connection.execute(query.with_for_update() if lock else query).first()
    if row is None:
        return None
    genuine = row.signature == sign_head(signer_of(connection), chain, row.sequence, row.hash)
    return Head(row.sequence, row.hash, genuine)


def check_stored(connection: sa.Connection, chain: str, noted: str = "") -> AuditCheck:
    """Check a chain of the database; the connection sees one moment of it. ``noted`` is as for :func:`check`."""
    return check(entries(connection, chain), head(connection, chain), noted)


def has(connection: sa.Connection, chain: str, hash_: str) -> bool:
    """Whether an entry of the chain has this hash."""
    query = sa.select(audit_log.c.sequence).where(audit_log.c.chain == chain, audit_log.c.hash == hash_)
    return checks.is_text(hash_) and connection.execute(query).first() is not None


def with_entries_before(connection: sa.Connection, time: dt.datetime) -> list[str]:
    """The chains that have entries before this time, sorted."""
    query = sa.select(audit_log.c.chain).where(audit_log.c.time < time).distinct()
    return sorted(connection.execute(query).scalars())


def forget(connection: sa.Connection, chain: str, now: dt.datetime, kept: dt.timedelta) -> int:
    """Erase the entries of a chain that are older than ``kept``, but never its last one; the number erased.

    An entry of the chain records it, with the first entry that stays. If older entries were missing, an entry
    :data:`DAMAGED` comes before that one, which would hide it.
    """
    end = head(connection, chain, lock=True)
    of_chain = audit_log.c.chain == chain
    query = sa.select(audit_log).where(of_chain).order_by(audit_log.c.sequence)
    first = connection.execute(query.limit(1)).first()
    if end is None or first is None:
        return 0
    # Only entries before the first one that stays: what is left of a chain must have no gaps.
    stays = connection.execute(query.where(audit_log.c.time >= now - kept).limit(1)).first()
    stays = stays or connection.execute(query.where(audit_log.c.sequence == end.sequence)).first()
    if stays is None or stays.sequence == first.sequence:
        return 0
    before = query.where(audit_log.c.action == FORGET).order_by(None).order_by(audit_log.c.sequence.desc())
    forgot = connection.execute(before.limit(1)).first()
    missing = missing_before(to_entry(first), None if forgot is None else to_entry(forgot))
    erased = connection.execute(audit_log.delete().where(of_chain, audit_log.c.sequence < stays.sequence)).rowcount
    details = {"first": stays.sequence, "hash": stays.hash, "keep_days": kept / dt.timedelta(days=1)}
    drafts = [Draft(FORGET, details=details, actor="internal", time=now)]
    if missing is not None or erased != stays.sequence - first.sequence:
        drafts.insert(0, Draft(DAMAGED, details={"head": end.sequence}, actor="internal"))
    append(connection, chain, drafts)
    return erased


def to_entry(row: sa.Row[Any]) -> AuditEntry:
    """A row of the table as a domain value."""
    return to_value(AuditEntry, row, subjects=tuple(row.subjects), collections=tuple(row.collections))
