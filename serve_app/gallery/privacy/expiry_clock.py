"""The clock that erasures by age go by: the wall clock, except while it shows a time that it should not show.

A dead battery or a wrong time server can move the wall clock by weeks, and what is erased does not come back. So the
wall clock is compared with a clock that nobody sets, and after a start with the last time that the database has. While
it differs, nothing is erased by age, until it is right again, until somebody confirms it (``facegraph clock
--confirm``), or until it has gone on steadily for :data:`PATIENCE` of service.
"""

from __future__ import annotations

import datetime as dt
import time

import sqlalchemy as sa

from serve_app.gallery.sql.database import Database
from serve_app.gallery.sql.schema import audit_log, installation

TOLERANCE = dt.timedelta(minutes=10)
"""Difference that is believed while the service runs."""

STOPPED = dt.timedelta(days=3)
"""Time since the last one in the database that is believed at a start: the service was stopped meanwhile."""

PATIENCE = dt.timedelta(hours=24)
"""Time of service after which a time is believed that nobody confirmed."""


class ExpiryClock:
    """Tells a time that can be believed. Not thread-safe, except for ``doubt`` and :meth:`agrees`.

    Attributes:
        doubt: why nothing is erased by age at present; None if the clock is believed.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._believed: tuple[dt.datetime, float] | None = None
        self._checked: tuple[dt.datetime, float] | None = None
        self.doubt: str | None = None

    def now(self) -> dt.datetime | None:
        """The time, None while it is not believed; call it about every minute. Raises StoreUnavailable."""
        wall, ticks = wall_time(), _ticks()
        passed = 0.0 if self._checked is None else ticks - self._checked[1]
        jumped = self._checked is not None and not _close(wall, *self._checked, ticks)

        def work(connection: sa.Connection) -> tuple[bool, dt.timedelta, float]:
            stored, doubted_s = _stored(connection)
            ahead = wall - (wall if stored is None else stored)
            doubted_s = 0.0 if jumped else doubted_s + passed
            if abs(ahead) <= TOLERANCE or dt.timedelta(seconds=doubted_s) >= PATIENCE:
                right = True
            elif self._believed is None:
                right = dt.timedelta(0) <= ahead <= STOPPED
            else:
                right = _close(wall, *self._believed, ticks)
            if right:
                believe(connection, wall)
            else:
                connection.execute(installation.update().values(doubted_s=doubted_s))
            return right, ahead, doubted_s

        right, ahead, doubted_s = self._database.transact(work)
        self._checked = (wall, ticks)
        if right:
            self._believed, self.doubt = self._checked, None
            return wall
        direction = "ahead of" if ahead > dt.timedelta(0) else "behind"
        left = (PATIENCE - dt.timedelta(seconds=doubted_s)) / dt.timedelta(hours=1)
        self.doubt = (
            f"The clock of this machine shows {wall:%Y-%m-%d %H:%M} UTC, {_words(abs(ahead))} {direction} the last "
            "time that was believed. Until it is right again, nothing is erased by age: no retention period, consent, "
            "audit entry or unknown ends. If it is right, run 'facegraph clock --confirm'; without that it is "
            f"believed after {left:.1f} more hours of service."
        )
        return None

    def agrees(self) -> bool:
        """Whether the wall clock agrees with the last believed time, without a look into the database."""
        if self._believed is None:
            return self._checked is None  # the clock was not believed since the start
        return _close(wall_time(), *self._believed, _ticks())


def believe(connection: sa.Connection, time: dt.datetime) -> None:
    """Store a time as the right one."""
    connection.execute(installation.update().values(time_believed=time, doubted_s=0.0))


def last_believed(connection: sa.Connection) -> dt.datetime | None:
    """The last time that was believed; None in a new database."""
    return _stored(connection)[0]


def wall_time() -> dt.datetime:
    """What the machine's wall clock shows."""
    return dt.datetime.now(dt.UTC)


def _stored(connection: sa.Connection) -> tuple[dt.datetime | None, float]:
    row = connection.execute(sa.select(installation.c.time_believed, installation.c.doubted_s)).one()
    if row.time_believed is not None:
        return row.time_believed, row.doubted_s
    return connection.execute(sa.select(sa.func.max(audit_log.c.time))).scalar_one(), row.doubted_s


def _ticks() -> float:
    """Seconds of a clock that nobody sets, and that goes on while the machine sleeps."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def _close(wall: dt.datetime, earlier: dt.datetime, earlier_ticks: float, ticks: float) -> bool:
    return abs(wall - earlier - dt.timedelta(seconds=ticks - earlier_ticks)) <= TOLERANCE


def _words(span: dt.timedelta) -> str:
    hours = span / dt.timedelta(hours=1)
    return f"{hours / 24:.1f} days" if hours >= 48 else f"{hours:.1f} hours"
