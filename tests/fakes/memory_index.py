"""An exact vector index in memory."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from serve_app.domain import Vectors
from serve_app.gallery.index.base import Hit, IndexRow, RowKey

Rows = Mapping[str, Mapping[RowKey, NDArray[np.float32]]]
"""The rows of each model."""


class MemoryIndex:
    """A :class:`~serve_app.gallery.index.base.VectorIndex` over dictionaries; nothing is persisted.

    Args:
        rows: that it starts with; copied.
    """

    def __init__(self, rows: Rows | None = None) -> None:
        self._models = {model: dict(of_model) for model, of_model in (rows or {}).items()}
        self._lock = threading.RLock()

    def rows(self) -> Rows:
        """A copy of all rows."""
        with self._lock:
            return {model: dict(of_model) for model, of_model in self._models.items()}

    def attend(self, connection: sa.Connection) -> None:
        """Nothing to do: the rows never move."""

    def upsert(self, model: str, rows: Sequence[IndexRow]) -> None:
        """See :class:`~serve_app.gallery.index.base.VectorIndex`."""
        with self._lock:
            self._models.setdefault(model, {}).update({row.key: row.vector for row in rows})

    def delete(self, model: str, keys: Sequence[RowKey]) -> None:
        """See :class:`~serve_app.gallery.index.base.VectorIndex`."""
        with self._lock:
            for key in keys:
                self._models.get(model, {}).pop(key, None)

    def settle(self, model: str, key: RowKey) -> None:
        """Writes are visible at once."""

    def search(self, model: str, probes: Vectors, collections: Sequence[str], limit: int) -> list[list[Hit]]:
        """See :class:`~serve_app.gallery.index.base.VectorIndex`."""
        wanted = set(collections)
        with self._lock:
            rows = [(key, row) for key, row in self._models.get(model, {}).items() if key.collection_id in wanted]
        if not rows:
            return [[] for _ in probes]
        cosines = probes @ np.stack([row for _, row in rows]).T
        order = np.argsort(-cosines, axis=1, kind="stable")[:, :limit]
        return [[Hit(rows[j][0], float(cosines[i, j])) for j in order[i]] for i in range(len(probes))]

    def warm_up(self) -> None:
        """Nothing to do."""

    def models(self) -> list[str]:
        """See :class:`~serve_app.gallery.index.base.VectorIndex`."""
        with self._lock:
            return sorted(self._models)

    def count(self, model: str) -> int:
        """See :class:`~serve_app.gallery.index.base.VectorIndex`."""
        with self._lock:
            return len(self._models.get(model, {}))

    def keys(self, model: str) -> Iterator[RowKey]:
        """See :class:`~serve_app.gallery.index.base.VectorIndex`."""
        with self._lock:
            return iter(list(self._models.get(model, {})))

    def rows_of(self, model: str, face_ids: Iterable[str]) -> set[RowKey]:
        """See :class:`~serve_app.gallery.index.base.VectorIndex`."""
        wanted = set(face_ids)
        return {key for key in self.keys(model) if key.face_id in wanted}

    def vectors(self, model: str, keys: Sequence[RowKey]) -> dict[RowKey, NDArray[np.float32]]:
        """See :class:`~serve_app.gallery.index.base.VectorIndex`."""
        with self._lock:
            rows = self._models.get(model, {})
            return {key: rows[key] for key in keys if key in rows}

    def dimension(self, model: str) -> int | None:
        """See :class:`~serve_app.gallery.index.base.VectorIndex`."""
        with self._lock:
            return next((len(row) for row in self._models.get(model, {}).values()), None)

    def drop(self, model: str) -> None:
        """See :class:`~serve_app.gallery.index.base.VectorIndex`."""
        with self._lock:
            self._models.pop(model, None)

    def maintain(self) -> None:
        """Nothing to do."""

    def scrub(self) -> None:
        """Nothing to do: there are no files."""

    def doubtful(self) -> bool:
        """False: no call fails."""
        return False

    def facts(self) -> Mapping[str, Any]:
        """See :class:`~serve_app.gallery.index.base.VectorIndex`."""
        return {"kind": "memory", "version": "1"}

    def capacity(self) -> int | None:
        """See :class:`~serve_app.gallery.index.base.VectorIndex`."""
        return None

    def unindexed(self) -> int:
        """0: the search is exact."""
        return 0

    def close(self) -> None:
        """Nothing to release."""
