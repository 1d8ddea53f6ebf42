"""What the gallery says of itself: its stores, its size, and what an operator should know."""

from __future__ import annotations

import logging
from typing import Any

from serve_app.gallery.index.base import VectorIndex
from serve_app.gallery.index_move.migration import IndexMigrator
from serve_app.gallery.sql.database import Database
from serve_app.gallery.sql.records import collections

log = logging.getLogger(__name__)

OUTGROWN = (
    "The gallery has {faces} faces, more than the {capacity} that milvus-lite is meant for (each start reads all of "
    "them, each search looks at all of them): move the index to a Milvus server with 'facegraph index move --to URL'."
)


class GalleryStatus:
    """The state of one gallery.

    Args:
        mover: moves the index; None where it cannot move.
    """

    def __init__(self, database: Database, index: VectorIndex, mover: IndexMigrator | None) -> None:
        self._database = database
        self._index = index
        self._mover = mover
        self._told: set[str] = set()

    def ready(self) -> dict[str, Any]:
        """See :meth:`~serve_app.gallery.Gallery.ready`."""
        with self._database.read() as connection:
            number, people, heads = collections.totals(connection)
        return {
            "index": dict(self._index.facts()),
            "database": {"kind": self._database.kind},
            "collections": number,
            "persons": people,
            "faces": heads,
            "warnings": self._warnings(heads),
        }

    def _warnings(self, heads: int) -> dict[str, str]:
        capacity = self._index.capacity()
        found = {} if self._mover is None else self._mover.warnings()
        if capacity is not None and heads > capacity:
            found["index_outgrown"] = OUTGROWN.format(faces=heads, capacity=capacity)
        return found

    def log_warnings(self) -> None:
        """Those of :meth:`ready`, each once for as long as it lasts. Raises StoreUnavailable."""
        found: dict[str, str] = self.ready()["warnings"]
        for code in found.keys() - self._told:
            log.warning("%s", found[code])
        self._told = set(found)
