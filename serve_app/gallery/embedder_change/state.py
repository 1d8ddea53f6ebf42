"""State of the embedder in use and of a change to another one, as far as the database alone has it."""

from __future__ import annotations

import datetime as dt
import logging
from typing import Any

import sqlalchemy as sa

from serve_app.domain import ChangeState, EmbedderChange, EmbeddersInUse, LeftBehind, Page
from serve_app.errors import StoreUnavailable
from serve_app.gallery.sql.database import Database
from serve_app.gallery.sql.records import embedder_state

log = logging.getLogger(__name__)

KEPT_UP = dt.timedelta(seconds=60)
"""How long the former model stays searchable after the switch, for processes that have not noticed it."""


class EmbedderState:
    """Reads the state, and gives up faces that cannot be embedded, which only an operator may decide.

    Only needs the database, not the index, so that a command can use it while the service runs.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def embedders(self) -> EmbeddersInUse:
        with self._database.read() as connection:
            row = state_of(connection)
        kept_up = row.previous is not None and dt.datetime.now(dt.UTC) < row.switched + KEPT_UP
        return EmbeddersInUse(row.active, row.target or (row.previous if kept_up else None))

    def embedder_change(self, tenant: str | None = None) -> EmbedderChange:
        with self._database.read() as connection:
            row = state_of(connection)
            total, done, without = embedder_state.counts(connection, row.target or row.active, tenant)
        if row.target is not None:
            state = ChangeState.WAITING if row.passed is not None else ChangeState.EMBEDDING
        else:
            state = ChangeState.NONE if row.previous is None else ChangeState.FINISHING
        if row.passed is not None:
            without = total - done  # a face whose crop could not be read counts as having none
        return EmbedderChange(state, row.active, row.target, total, done, without)

    def left_behind(self, tenant: str, limit: int = 100, cursor: str | None = None) -> Page[LeftBehind]:
        with self._database.read() as connection:
            row = state_of(connection)
            goal = row.target or row.active
            return embedder_state.left_behind(connection, goal, tenant, limit, cursor, row.passed is not None)

    def leave_behind(self) -> None:
        """Give up the faces without a template by the target, so that they do not prevent the switch."""

        def work(connection: sa.Connection) -> None:
            if state_of(connection, lock=True).target is not None:
                embedder_state.update(connection, leave_behind=True)
                switch_if_complete(connection)

        self._database.transact(work)


def state_of(connection: sa.Connection, lock: bool = False) -> sa.Row[Any]:
    """The row with the state. Raises StoreUnavailable before the first start of the service."""
    row = embedder_state.get(connection, lock)
    if row is None:
        raise StoreUnavailable("No embedder was chosen yet: the service has not started with this database.")
    return row


def switch_if_complete(connection: sa.Connection) -> None:
    """Make the target the active model if no face lacks a template by it, or those that do were given up."""
    row = embedder_state.get(connection, lock=True)
    if row is None or row.target is None:
        return
    if embedder_state.complete(connection, row.target) or (row.leave_behind and row.passed is not None):
        log.warning("the embedder is now %s; before, it was %s", row.target, row.active)
        embedder_state.update(
            connection,
            active=row.target,
            target=None,
            passed=None,
            leave_behind=False,
            previous=row.active,
            switched=dt.datetime.now(dt.UTC),
        )
