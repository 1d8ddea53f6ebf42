"""Statements about the row that says where the vector index is, and where it moves to.

A transaction that changes the index reads this row under a shared lock. A transaction that changes the row takes the
same lock exclusively. So a change of the row waits for all writers that have read the old row, and every later writer
reads the new one.
"""

from __future__ import annotations

import datetime as dt
import logging
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

import sqlalchemy as sa
from pydantic import SecretStr

from serve_app.gallery.index.locations import IndexLocation, without_credentials
from serve_app.gallery.sql.records.statements import to_value
from serve_app.gallery.sql.schema import index_place

log = logging.getLogger(__name__)


class MoveState(StrEnum):
    """State of a move of the index.

    ``none``: no move. ``copying``: writes go to both locations, and the rows from before the move are copied.
    ``kept_up``: searches use the new location; writes still go to the former one as well, for processes that have not
    noticed the switch. ``clearing``: ``other`` is no longer written to, and is being removed.
    """

    NONE = "none"
    COPYING = "copying"
    KEPT_UP = "kept_up"
    CLEARING = "clearing"


@dataclass(frozen=True, slots=True)
class IndexMove:
    """The row.

    Attributes:
        version: one more with each change of the fields that processes must follow: not with ``done``, ``total`` and
            the lease of a worker.
        configured: ``storage.milvus_uri`` when the last move began.
        location: where searches go; None if the index never moved: to the configured location.
        other: while ``copying`` the target of the move, afterwards the location before it; None without a move.
        since: when the state began.
        done, total: index rows copied, and in total.
        error: why the last move was given up; empty if it was not.
        worker: id of the process that does the work; None before one took it, and when its lease has run out.
    """

    version: int
    configured: str | None
    location: IndexLocation | None
    other: IndexLocation | None
    state: MoveState
    since: dt.datetime | None
    done: int
    total: int
    error: str
    worker: str | None


BARRIER = 0x696E6478  # "indx"


def get(connection: sa.Connection, lock: Literal["", "share", "all"] = "") -> IndexMove:
    """The row; ``lock`` is ``share`` or ``all`` of the lock, held until the transaction ends; see the module."""
    if lock and connection.dialect.name == "postgresql":  # SQLite has one writer at a time
        # An advisory lock, because its queue is fair: writers that come later cannot keep a change waiting forever.
        function = sa.func.pg_advisory_xact_lock_shared if lock == "share" else sa.func.pg_advisory_xact_lock
        connection.execute(sa.select(function(BARRIER)))
    row = connection.execute(sa.select(index_place)).one()
    working = row.worker_until is not None and row.worker_until > dt.datetime.now(dt.UTC)
    return to_value(
        IndexMove,
        row,
        location=_location(row.uri, row.token),
        other=_location(row.other_uri, row.other_token),
        state=MoveState(row.state),
        worker=row.worker if working else None,
    )


def change(
    connection: sa.Connection,
    old: IndexMove,
    state: MoveState,
    location: IndexLocation | None,
    other: IndexLocation | None,
    **more: Any,
) -> None:
    """Write a new version of the row. The transaction must hold all of the lock."""
    fresh = {"version": old.version + 1, "state": str(state), "since": dt.datetime.now(dt.UTC), **more}
    connection.execute(index_place.update().values(**_columns("", location), **_columns("other_", other), **fresh))


def give_up(connection: sa.Connection, version: int, reason: str) -> bool:
    """End the copy of this version, so that the copied rows are removed; False if the row has changed since."""
    row = get(connection, "all")
    if row.version != version or row.state is not MoveState.COPYING:
        return False
    log.warning(
        "the move of the vector index to %s is given up: %s", row.other and without_credentials(row.other.uri), reason
    )
    change(connection, row, MoveState.CLEARING, row.location, row.other, error=reason)
    return True


def settled(connection: sa.Connection, configured: str) -> IndexMove:
    """The row at a start of a process.

    A configured location that the last move did not know (neither the configured one then, nor its source or target)
    takes precedence over the row: then the row is reset.
    """
    row = get(connection)
    known = {row.configured, row.location and row.location.uri, row.other and row.other.uri}
    if row.location is None or configured in known:
        return row
    row = get(connection, "all")
    log.warning(
        "the vector index was at %s; storage.milvus_uri now names %s, which takes precedence",
        row.location and without_credentials(row.location.uri),
        without_credentials(configured),
    )
    change(connection, row, MoveState.NONE, None, None, configured=None)
    return get(connection)


def advance(connection: sa.Connection, version: int, done: int, total: int) -> None:
    """Store the progress of a copy, unless the row has changed since that version."""
    connection.execute(index_place.update().where(index_place.c.version == version).values(done=done, total=total))


def _location(uri: str | None, token: bytes | None) -> IndexLocation | None:
    return None if uri is None else IndexLocation(uri, None if token is None else SecretStr(token.decode()))


def _columns(prefix: str, location: IndexLocation | None) -> dict[str, Any]:
    uri, token = (None, None) if location is None else location
    return {f"{prefix}uri": uri, f"{prefix}token": None if token is None else token.get_secret_value().encode()}
