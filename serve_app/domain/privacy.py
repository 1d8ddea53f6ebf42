"""What is recorded of uses of the service, and what proves an erasure."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Something that was done. It names persons by internal ids, which mean nothing once the person is erased.

    Attributes:
        chain: whose log: a tenant's id, or the installation's.
        sequence: 1, 2, 3 ... in the chain, in the order of recording.
        actor: ``key:`` and an API key's id, or ``internal``.
        action: what was done, in one word.
        subjects: internal ids of persons, 32 hex digits each.
        collections: ids.
        details: counts and the like, JSON-ready; no names, no pictures, no templates.
        previous: the hash of the entry before, hex; empty for the first.
        hash: SHA-256 of all of the above, hex.
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


@dataclass(frozen=True, slots=True)
class AuditCheck:
    """Whether an audit log is whole.

    Attributes:
        entries: how many were checked.
        broken: the sequence number of the first entry that is changed, missing or out of order; None if none is.
        head: the last hash; whoever notes it elsewhere can tell later that nothing was cut off.
    """

    entries: int
    broken: int | None
    head: str


@dataclass(frozen=True, slots=True)
class ErasureReceipt:
    """A signed statement that something was erased and that nothing of it was found afterwards.

    Attributes:
        statement: JSON-ready. ``persons`` are the ids that were given; ``subjects`` what the audit log calls them.
        public_key: Ed25519, base64; the installation's.
        signature: of :func:`canonical` of the statement, base64.
    """

    statement: Mapping[str, Any]
    public_key: str
    signature: str


@dataclass(frozen=True, slots=True)
class ReceiptCheck:
    """What can be said of a receipt.

    Attributes:
        genuine: this installation signed exactly this statement.
        recorded: the audit log has the entry that the statement names.
        residue: rows and images of its subjects that are stored now; 0 after an erasure.
    """

    genuine: bool
    recorded: bool
    residue: int


def canonical(value: Any) -> bytes:
    """JSON in the one way that is hashed and signed: keys sorted, no spaces, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
