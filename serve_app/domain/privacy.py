"""Audit log entries and erasure receipts."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One entry of a hash-chained audit log.

    Persons appear by internal ids, which can no longer be resolved once the person is erased.

    Attributes:
        chain: the log that the entry belongs to: a tenant's id, or the installation's.
        sequence: 1, 2, 3 ... in the chain, in the order of recording.
        actor: ``key:`` and an API key's id, or ``internal``.
        action: name of the operation, one word.
        subjects: internal ids of persons, 32 hex digits each.
        collections: ids of collections.
        details: counts and similar facts, JSON-ready; no names, no images, no templates.
        previous: hash of the previous entry, hex; empty for the first.
        hash: SHA-256 over all other fields, hex.
    """

    chain: str
    sequence: int
    time: dt.datetime
    actor: str
    action: str
    subjects: tuple[str, ...]
    collections: tuple[str, ...]
    details: Mapping[str, Any]
    previous: str
    hash: str


class AuditPosition(NamedTuple):
    """Sequence number and time of an entry of an audit log."""

    sequence: int
    time: dt.datetime


@dataclass(frozen=True, slots=True)
class NotedHead:
    """What became of a head that was noted earlier.

    Attributes:
        found: whether the log has an entry with this hash.
        sequence: the entry's number; None if it was not found.
        later: number of entries after it.
    """

    found: bool
    sequence: int | None = None
    later: int = 0


@dataclass(frozen=True, slots=True)
class AuditCheck:
    """Result of verifying an audit log.

    Attributes:
        entries: number of entries checked.
        broken: sequence number of the first entry that is changed, missing or out of order; None if the log is intact.
        head: the last hash. A copy of it kept elsewhere shows later whether entries were removed from the end.
        reason: what is wrong; empty if the log is intact.
        first, last: the first and the last entry checked; None if there is none.
        noted: what became of the given head; None if none was given.
    """

    entries: int
    broken: int | None
    head: str
    reason: str = ""
    first: AuditPosition | None = None
    last: AuditPosition | None = None
    noted: NotedHead | None = None


@dataclass(frozen=True, slots=True)
class ErasureReceipt:
    """A signed statement that data were erased and that nothing of them was found afterwards.

    Attributes:
        statement: JSON-ready. ``persons`` are the callers' ids, ``subjects`` the internal ids used in the audit log.
        public_key: the installation's Ed25519 public key, base64.
        signature: signature over :func:`canonical` of the statement, base64.
    """

    statement: Mapping[str, Any]
    public_key: str
    signature: str


@dataclass(frozen=True, slots=True)
class ReceiptCheck:
    """Result of checking an erasure receipt.

    Attributes:
        genuine: whether this installation signed exactly this statement.
        recorded: whether the audit log has the entry that the statement names.
        residue: number of rows and images of its subjects that are stored now; 0 after an erasure.
    """

    genuine: bool
    recorded: bool
    residue: int


def canonical(value: Any) -> bytes:
    """Canonical JSON for hashing and signing: keys sorted, no spaces, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
