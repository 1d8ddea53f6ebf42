"""Checks of an audit chain, in the database or in a file; entries as JSON-ready values, and their hashes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from serve_app.domain import AuditCheck, AuditEntry, AuditPosition, NotedHead
from serve_app.gallery.sql.signing import digest as digest_of

MOST_DAYS = 36_500
"""Most days that entries are kept, as ``audit.keep_days``."""

FORGET = "forget_audit"
"""Action of the entry that records that older entries were erased by age, and which one is the first since."""

DAMAGED = "log_damaged"
"""Action of the entry that records that the head was missing or not signed by this installation when it was to be
written, or that entries were missing when others were to be erased by age."""


class Head(NamedTuple):
    """The end of a chain.

    Attributes:
        genuine: whether it has the installation's signature.
    """

    sequence: int
    hash: str
    genuine: bool


def digest(facts: Mapping[str, Any]) -> str:
    """The hash of an entry: SHA-256 (hex) over all its fields except the hash itself."""
    return digest_of(plain(facts))


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


def check(chain: Iterable[AuditEntry], end: Head | None, noted: str = "") -> AuditCheck:
    """Check that the entries are an unbroken chain, from its beginning to ``end``, its head.

    ``noted`` is a hash that was a head earlier, to be looked for; empty for none.
    """
    checker = _Checker()
    found: int | None = None
    later = 0
    for entry in chain:
        later += found is not None
        if noted and entry.hash == noted:
            found = entry.sequence
        if checker.broken is None:
            checker.take(entry)
    if checker.broken is None:
        checker.conclude(end)
    return AuditCheck(
        checker.count,
        checker.broken,
        "" if end is None else end.hash,
        checker.reason,
        _position(checker.first),
        _position(checker.last),
        NotedHead(found is not None, found, later) if noted else None,
    )


def _position(entry: AuditEntry | None) -> AuditPosition | None:
    return None if entry is None else AuditPosition(entry.sequence, entry.time)


class _Checker:
    """Checks the entries of a chain one after the other."""

    def __init__(self) -> None:
        self.count = 0
        self.broken: int | None = None
        self.reason = ""
        self.first: AuditEntry | None = None
        self.last: AuditEntry | None = None
        self._forgot: AuditEntry | None = None

    def take(self, entry: AuditEntry) -> None:
        """Check the next entry."""
        facts = {name: getattr(entry, name) for name in AuditEntry.__slots__ if name != "hash"}
        last = self.last
        if last is not None and (entry.previous != last.hash or entry.sequence != last.sequence + 1):
            self._break(last.sequence + 1, "An entry is missing, or does not follow the one before it.")
        elif digest(facts) != entry.hash:
            self._break(entry.sequence, "The entry was changed.")
        elif entry.action == DAMAGED:
            self._break(entry.sequence, "It records that the log had been cut off, or its head replaced, before.")
        else:
            if entry.action == FORGET:
                self._forgot = entry
            self.first, self.last, self.count = self.first or entry, entry, self.count + 1

    def conclude(self, end: Head | None) -> None:
        """Check the beginning and the end, after the last entry."""
        sequence, hash_ = (0, "") if self.last is None else (self.last.sequence, self.last.hash)
        if self.first is not None and (missing := missing_before(self.first, self._forgot)):
            self._break(missing, "The beginning is missing: no entry records that it was erased by age.")
        elif end is None:
            self._break(sequence + 1, "The record of the end is missing.")
        elif (sequence, hash_) != (end.sequence, end.hash):
            self._break(sequence + 1, "The end is missing.")
        elif not end.genuine:
            self._break(sequence + 1, "The record of the end is not signed by this installation.")

    def _break(self, sequence: int, reason: str) -> None:
        self.broken, self.reason = sequence, reason


def missing_before(first: AuditEntry, forgot: AuditEntry | None) -> int | None:
    """Number of the first entry that is missing before ``first``; ``forgot`` is the last entry :data:`FORGET`."""
    if first.sequence == 1:
        return None if first.previous == "" else 1
    if forgot is None:
        return 1
    stated = forgot.details.get("first")
    if (stated, forgot.details.get("hash")) != (first.sequence, first.hash):
        return stated if isinstance(stated, int) and 0 < stated < first.sequence else 1
    return None if _fits(first, forgot) else 1


def _fits(first: AuditEntry, forgot: AuditEntry) -> bool:
    """Whether entries before ``first`` can have been old enough by what the entry ``forgot`` says."""
    days = forgot.details.get("keep_days")
    if days is None:
        return "by" in forgot.details  # by an earlier version, which did not record it; added by a migration
    if not isinstance(days, (int, float)) or not 0 < days <= MOST_DAYS:
        return False
    return first.time >= forgot.time - dt.timedelta(days=days) or first.sequence == forgot.sequence - 1
