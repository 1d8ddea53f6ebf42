"""Status of the gallery: its stores, its size, and warnings for the operator."""

from __future__ import annotations

import logging
from typing import Any

from serve_app.gallery.index.base import VectorIndex
from serve_app.gallery.index_move.migration import IndexMigrator
from serve_app.gallery.sql.database import Database
from serve_app.gallery.sql.records import collections

log = logging.getLogger(__name__)

OUTGROWN = (
    "The gallery has {faces} faces, more than the {capacity} that milvus-lite is meant for (each start and each search "
    "reads all of them): move the index to a Milvus server with 'facegraph index move --to URL'."
)


class GalleryStatus:
    """Status of one gallery.

    Args:
        migrator: moves the index; None if it cannot move.
    """

    def __init__(self, database: Database, index: VectorIndex, migrator: IndexMigrator | None) -> None:
        self._database = database
        self._index = index
        self._migrator = migrator
        self._logged: set[str] = set()

    def ready(self) -> dict[str, Any]:
        """See :meth:`~serve_app.gallery.Gallery.ready`."""
        with self._database.read() as connection:
            collection_count, person_count, face_count = collections.totals(connection)
        return {
            "index": dict(self._index.facts()),
            "database": {"kind": self._database.kind},
            "collections": collection_count,
            "persons": person_count,
            "faces": face_count,
            "warnings": self._warnings(face_count),
        }

    def _warnings(self, face_count: int) -> dict[str, str]:
        capacity = self._index.capacity()
        found = {} if self._migrator is None else self._migrator.warnings()
        if capacity is not None and face_count > capacity:
            found["index_outgrown"] = OUTGROWN.format(faces=face_count, capacity=capacity)
        return found

    def log_warnings(self) -> None:
        """Log the warnings of :meth:`ready`; each is logged once for as long as it lasts. Raises StoreUnavailable."""
        found: dict[str, str] = self.ready()["warnings"]
        for code in found.keys() - self._logged:
            log.warning("%s", found[code])
        self._logged = set(found)
