"""Beginning and cancelling moves of the vector index. :mod:`.migration` does the work."""

from __future__ import annotations

import sqlalchemy as sa

from serve_app.errors import InvalidRequest
from serve_app.gallery.index.locations import IndexLocation, without_credentials
from serve_app.gallery.sql.database import Database
from serve_app.gallery.sql.records import index_location
from serve_app.gallery.sql.records.index_location import IndexMove, MoveState


class IndexMoves:
    """Begins and cancels moves, and reads their state.

    Only needs the database, not the index, so that a command can use it while the service runs.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def row(self) -> IndexMove:
        """The row with the state of the move."""
        with self._database.read() as connection:
            return index_location.get(connection)

    def begin(self, configured: str, target: IndexLocation) -> None:
        """Begin a move. Any process of the gallery does the work.

        ``configured`` is ``storage.milvus_uri`` of the service. The caller has checked that the target answers and is
        empty. Raises InvalidRequest: the index is there already, or a move is in progress.
        """

        def work(connection: sa.Connection) -> None:
            row = index_location.get(connection, "all")
            location = row.location or IndexLocation(configured)
            if location.uri == target.uri:
                raise InvalidRequest(f"The vector index is already at {without_credentials(target.uri)}.")
            if row.state is not MoveState.NONE:
                where = row.other and without_credentials(row.other.uri)
                raise InvalidRequest(
                    f"A move is under way ({row.state}, {where}): wait until it has ended, or cancel it with "
                    "'facegraph index move --cancel'."
                )
            fresh = {"configured": configured, "done": 0, "total": 0, "error": "", "worker": None}
            index_location.change(connection, row, MoveState.COPYING, location, target, **fresh)

        self._database.transact(work)

    def cancel(self) -> IndexMove:
        """Cancel a move before the switch, or the removal of a location that no longer answers; the row as it was.

        Raises InvalidRequest: there is nothing to cancel.
        """

        def work(connection: sa.Connection) -> IndexMove:
            row = index_location.get(connection, "all")
            if row.state is MoveState.COPYING:
                index_location.give_up(connection, row.version, "it was cancelled")
            elif row.state is MoveState.CLEARING:
                index_location.change(connection, row, MoveState.NONE, row.location, None)
            else:
                raise InvalidRequest("There is no move that can be cancelled.")
            return row

        return self._database.transact(work)
