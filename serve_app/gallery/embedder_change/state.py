"""Which embedder is in use, and how far a change to another one has come: what the database alone can tell."""

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
"""How long the former model is kept searchable after the switch, for processes that have not heard of it."""


class EmbedderState:
    """Reads it, and takes the one decision that is an operator's.

    It needs no index, so a command may open it beside a running service.
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
            without = total - done  # whatever has a crop that could not be read counts as having none
        return EmbedderChange(state, row.active, row.target, total, done, without)

    def left_behind(self, tenant: str, limit: int = 100, cursor: str | None = None) -> Page[LeftBehind]:
        with self._database.read() as connection:
            row = state_of(connection)
            goal = row.target or row.active
            return embedder_state.left_behind(connection, goal, tenant, limit, cursor, row.passed is not None)

    def leave_behind(self) -> None:
        """Let the switch happen although some faces have no template by the target."""

        def work(connection: sa.Connection) -> None:
            if state_of(connection, lock=True).target is not None:
                embedder_state.update(connection, leave_behind=True)
                switch_if_complete(connection)

        self._database.transact(work)


def state_of(connection: sa.Connection, lock: bool = False) -> sa.Row[Any]:
    """The row that says which embedder is in use. Raises StoreUnavailable before the first start."""
    row = embedder_state.get(connection, lock)
    if row is None:
        raise StoreUnavailable("No embedder has been chosen yet: the service has not started with this database.")
    return row


def switch_if_complete(connection: sa.Connection) -> None:
    """Make the target the active model if nothing is left to do, or what is left was given up."""
    row = embedder_state.get(connection, lock=True)
    if row is None or row.target is None:
        return
    if embedder_state.complete(connection, row.target) or (row.leave_behind and row.passed is not None):
        log.warning("the embedder is now %s, no longer %s", row.target, row.active)
        embedder_state.update(
            connection,
            active=row.target,
            target=None,
            passed=None,
            leave_behind=False,
            previous=row.active,
            switched=dt.datetime.now(dt.UTC),
        )
