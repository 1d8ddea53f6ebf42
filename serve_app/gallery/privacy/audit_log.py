"""The audit log: which caller searched for, read, enrolled and erased what. Part of ``Gallery``.

A write is recorded in the same transaction (``writes/writer.py``). An operation that only reads does not wait for a
disk: its entry is queued and written by the next maintenance. So a crash can lose the entries of the last moments, but
never changes their order.
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from serve_app.domain import AuditCheck, AuditEntry, ErasureReceipt, Page, ReceiptCheck
from serve_app.errors import StoreUnavailable
from serve_app.gallery.sql.database import Database
from serve_app.gallery.sql.records import audit_chain, faces, persons
from serve_app.gallery.sql.records.audit_chain import Draft
from serve_app.gallery.sql.signing import Signer, is_genuine
from serve_app.gallery.writes.writer import Stores

log = logging.getLogger(__name__)

MOST_QUEUED = 10_000
"""Most entries that are queued while the database is away. Further ones are dropped, and an entry has their number."""

KEPT = dt.timedelta(days=365)
"""Default age at which entries are erased."""


class AuditQueue:
    """Queue of audit log entries of searches, verifications and readings of images. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._queued: list[tuple[str, Draft]] = []
        self._dropped: dict[str, int] = defaultdict(int)

    def put(self, tenant: str, draft: Draft) -> None:
        """Queue an entry. Returns at once."""
        with self._lock:
            if len(self._queued) < MOST_QUEUED:
                self._queued.append((tenant, draft))
            else:
                self._dropped[tenant] += 1

    def flush(self) -> int:
        """Write the queued entries to the log; their number. If it raises StoreUnavailable, the entries stay queued."""
        with self._lock:
            taken, dropped = self._queued, dict(self._dropped)
            self._queued = []
            self._dropped.clear()
        by_tenant: dict[str, list[Draft]] = defaultdict(list)
        for tenant, draft in taken:
            by_tenant[tenant].append(draft)
        for tenant, number in dropped.items():
            by_tenant[tenant].append(Draft("entries_lost", details={"entries": number}))
        if not by_tenant:
            return 0
        try:
            self._database.transact(lambda c: [audit_chain.append(c, *each) for each in sorted(by_tenant.items())])
        except StoreUnavailable:
            with self._lock:
                self._queued = taken + self._queued
                for tenant, number in dropped.items():
                    self._dropped[tenant] += number
            raise
        return len(taken)


class Privacy(Stores):
    """Implements :class:`~serve_app.contracts.privacy.Privacy`, synchronously. Part of ``Gallery``."""

    _audit: AuditQueue
    _signer: Signer

    def audit(
        self, tenant: str, person_id: str | None = None, limit: int = 100, cursor: str | None = None
    ) -> Page[AuditEntry]:
        self._audit.flush()
        with self._database.read() as connection:
            subject = None if person_id is None else persons.get(connection, tenant, person_id).id
            return audit_chain.page(connection, tenant, subject, limit, cursor)

    def check_audit(self, tenant: str, head: str = "") -> AuditCheck:
        """Slow for a long log: reads all entries."""
        self._audit.flush()
        with self._database.snapshot() as connection:  # an entry may be appended between the head and the entries
            return audit_chain.check_stored(connection, tenant, head)

    def export_audit(self, tenant: str) -> Iterator[AuditEntry]:
        """All entries, oldest first, as they are at one moment."""
        self._audit.flush()
        with self._database.snapshot() as connection:
            yield from audit_chain.entries(connection, tenant)

    def check_receipt(self, tenant: str, receipt: ErasureReceipt) -> ReceiptCheck:
        statement = receipt.statement
        genuine = is_genuine(receipt, self._signer.public_key) and statement.get("tenant") == tenant
        if not genuine:
            return ReceiptCheck(False, False, 0)
        with self._database.read() as connection:
            recorded = any(audit_chain.has(connection, tenant, hash_) for hash_ in _texts(statement, "entries"))
            subjects = _texts(statement, "subjects")
            residue = len(persons.load(connection, subjects)) + len(faces.of_persons(connection, subjects))
        return ReceiptCheck(True, recorded, residue)

    def forget_audit(self, now: dt.datetime | None = None, kept: dt.timedelta = KEPT) -> int:
        """Erase entries that are older than ``kept``; the number erased. Part of maintenance.

        An entry of the chain records it. So that this is one a day, the oldest entries wait for up to a day more.
        """
        now = now or dt.datetime.now(dt.UTC)
        with self._database.read() as connection:
            chains = audit_chain.with_entries_before(connection, now - kept - min(kept / 10, dt.timedelta(days=1)))
        return sum(
            self._database.transact(partial(audit_chain.forget, chain=chain, now=now, kept=kept)) for chain in chains
        )


def _texts(statement: Any, name: str) -> Sequence[str]:
    return [value for value in statement.get(name, ()) if isinstance(value, str)]
