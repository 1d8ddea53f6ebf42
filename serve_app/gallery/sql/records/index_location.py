"""Statements about the one row that says where the vector index is, and where it moves to.

Whoever changes the index reads this row with a share of a lock, in the same transaction; whoever changes the row takes
all of the lock. So a change of the row waits for the writers that do not know of it, and every later writer does.
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
from serve_app.gallery.sql.schema import index_place

log = logging.getLogger(__name__)


class MoveState(StrEnum):
    """What is going on.

    ``none``: nothing. ``copying``: rows are written here and there, those that were here before are copied.
    ``kept_up``: searches go to the new place, the former one is kept in step for processes that have not noticed.
    ``clearing``: ``other`` is no longer written to, and is removed.
    """

    NONE = "none"
    COPYING = "copying"
    KEPT_UP = "kept_up"
    CLEARING = "clearing"


@dataclass(frozen=True, slots=True)
class IndexMove:
    """The row.

    Attributes:
        version: one more with each change of what follows, but for ``done`` and ``total``.
        configured: ``storage.milvus_uri`` when the last move began.
        place: where searches go; None: the index never moved, to the configured one.
        other: the place to come, or the one before.
        since: when the state began.
        done, total: rows copied, and rows in all.
        error: why the last move was given up; empty if it was not.
        worker: who does the work; None before anybody took it up, and when whoever did gave no sign of life for long.
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
    """The row, ``share`` and ``all`` with the lock until the transaction ends."""
    if lock and connection.dialect.name == "postgresql":  # SQLite has one writer anyway
        # An advisory lock, since its queue is fair: writers that come later cannot keep a change waiting for ever.
        function = sa.func.pg_advisory_xact_lock_shared if lock == "share" else sa.func.pg_advisory_xact_lock
        connection.execute(sa.select(function(BARRIER)))
    row = connection.execute(sa.select(index_place)).one()
    working = row.worker_until is not None and row.worker_until > dt.datetime.now(dt.UTC)
    return IndexMove(
        row.version,
        row.configured,
        _location(row.uri, row.token),
        _location(row.other_uri, row.other_token),
        MoveState(row.state),
        row.since,
        row.done,
        row.total,
        row.error,
        row.worker if working else None,
    )


def change(
    connection: sa.Connection,
    old: IndexMove,
    state: MoveState,
    location: IndexLocation | None,
    other: IndexLocation | None,
    **more: Any,
) -> None:
    """A new version of the row; the transaction must have all of the lock."""
    connection.execute(
        index_place.update().values(
            version=old.version + 1,
            state=str(state),
            since=dt.datetime.now(dt.UTC),
            **_columns("", location),
            **_columns("other_", other),
            **more,
        )
    )


def give_up(connection: sa.Connection, version: int, reason: str) -> bool:
    """End a copy of this version, so that what it made is removed; whether it was still going on."""
    row = get(connection, "all")
    if row.version != version or row.state is not MoveState.COPYING:
        return False
    log.warning(
        "the move of the vector index to %s is given up: %s", row.other and without_credentials(row.other.uri), reason
    )
    change(connection, row, MoveState.CLEARING, row.location, row.other, error=reason)
    return True


def settled(connection: sa.Connection, configured: str) -> IndexMove:
    """The row at a start: a place that is configured now and was not when the index moved takes precedence."""
    row = get(connection)
    known = {row.configured, row.location and row.location.uri, row.other and row.other.uri}
    if row.location is None or configured in known:
        return row
    row = get(connection, "all")
    log.warning(
        "the vector index was at %s, now %s is configured",
        row.location and without_credentials(row.location.uri),
        without_credentials(configured),
    )
    change(connection, row, MoveState.NONE, None, None, configured=None)
    return get(connection)


def advance(connection: sa.Connection, version: int, done: int, total: int) -> None:
    """Note how far the copy is, unless the row changed."""
    connection.execute(index_place.update().where(index_place.c.version == version).values(done=done, total=total))


def lease(connection: sa.Connection, worker: str, until: dt.datetime, now: dt.datetime) -> bool:
    """Whether the work is this worker's until then: it is, unless it is another one's."""
    free = sa.or_(index_place.c.worker.is_(None), index_place.c.worker == worker, index_place.c.worker_until < now)
    mine = index_place.update().where(free).values(worker=worker, worker_until=until)
    return connection.execute(mine).rowcount == 1


def _location(uri: str | None, token: bytes | None) -> IndexLocation | None:
    return None if uri is None else IndexLocation(uri, None if token is None else SecretStr(token.decode()))


def _columns(prefix: str, location: IndexLocation | None) -> dict[str, Any]:
    uri, token = (None, None) if location is None else location
    return {f"{prefix}uri": uri, f"{prefix}token": None if token is None else token.get_secret_value().encode()}
