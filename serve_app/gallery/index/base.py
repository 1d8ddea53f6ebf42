"""The vector index: an interface, and an exact implementation in memory for tests and small experiments.

A row stands for a face in a collection. The index is derived data: it can be rebuilt from the records, and hits that
the records do not know are ignored. Rows of different models (embedders) are never compared.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from serve_app.domain import Vectors


class RowKey(NamedTuple):
    """Key of an index row: two ids of 32 hex digits."""

    collection_id: str
    face_id: str


class IndexRow(NamedTuple):
    """A face in a collection; ``vector`` is the face's template, float32 (dimension,) of unit norm."""

    key: RowKey
    vector: NDArray[np.float32]


class Hit(NamedTuple):
    """A row that a search found; ``cosine`` to the probe, -1 to 1."""

    key: RowKey
    cosine: float


class VectorIndex(Protocol):
    """Search for the nearest rows by cosine. Thread-safe. Every method can raise ``StoreUnavailable``.

    The index has a separate part for each model, which is created with the model's first row. A model without a part
    has no rows.
    """

    def attend(self, connection: sa.Connection) -> None:
        """Check where the index is. Called at the start of each transaction that changes rows.

        The location is in the records and can change while the service runs; see
        :mod:`~serve_app.gallery.index_move.dual_write_index`.
        """
        ...

    def upsert(self, model: str, rows: Sequence[IndexRow]) -> None:
        """Add or overwrite rows. Raises InvalidRequest if a vector does not have the dimension of the model's part."""
        ...

    def delete(self, model: str, keys: Sequence[RowKey]) -> None:
        """Remove rows; rows that do not exist are ignored."""
        ...

    def settle(self, model: str, key: RowKey) -> None:
        """Wait until searches in all processes find a row that was upserted before."""
        ...

    def search(self, model: str, probes: Vectors, collections: Sequence[str], limit: int) -> list[list[Hit]]:
        """The nearest rows for each probe, highest cosine first.

        Args:
            probes: float32 (n, dimension), rows of unit norm.
            collections: ids; only their rows are searched.
            limit: most rows for each probe.

        Raises InvalidRequest if the probes do not have the dimension of the model's part.
        """
        ...

    def warm_up(self) -> None:
        """Do the work that would otherwise slow down the first search."""
        ...

    def models(self) -> list[str]:
        """Ids of the models that have a part; it can be empty."""
        ...

    def count(self, model: str) -> int:
        """Number of a model's rows."""
        ...

    def keys(self, model: str) -> Iterator[RowKey]:
        """Keys of all rows of a model, in no order."""
        ...

    def rows_of(self, model: str, face_ids: Iterable[str]) -> set[RowKey]:
        """Keys of a model's rows of these faces."""
        ...

    def drop(self, model: str) -> None:
        """Remove a model's part with all its rows."""
        ...

    def maintain(self) -> None:
        """Periodic maintenance, called about every second. Raises StoreUnavailable while the store does not answer."""
        ...

    def doubtful(self) -> bool:
        """Whether a call has failed since this was last called, so that the rows may differ from the records."""
        ...

    def facts(self) -> Mapping[str, Any]:
        """``kind`` and ``version`` of the store, JSON-ready. Cheap."""
        ...

    def capacity(self) -> int | None:
        """Number of rows up to which this kind of index should be used; None without such a limit."""
        ...

    def unindexed(self) -> int:
        """Number of rows that searches can miss because the server has not built the index of their vectors yet."""
        ...

    def close(self) -> None:
        """Release files, threads and connections."""
        ...


class MemoryIndex:
    """Exact search over dictionaries; keeps nothing when closed."""

    def __init__(self) -> None:
        self._models: dict[str, dict[RowKey, NDArray[np.float32]]] = {}
        self._lock = threading.RLock()

    def attend(self, connection: sa.Connection) -> None:
        """It is nowhere else."""

    def upsert(self, model: str, rows: Sequence[IndexRow]) -> None:
        """See :class:`VectorIndex`."""
        with self._lock:
            self._models.setdefault(model, {}).update({row.key: row.vector for row in rows})

    def delete(self, model: str, keys: Sequence[RowKey]) -> None:
        """See :class:`VectorIndex`."""
        with self._lock:
            for key in keys:
                self._models.get(model, {}).pop(key, None)

    def settle(self, model: str, key: RowKey) -> None:
        """Writes are visible at once."""

    def search(self, model: str, probes: Vectors, collections: Sequence[str], limit: int) -> list[list[Hit]]:
        """See :class:`VectorIndex`."""
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
        """See :class:`VectorIndex`."""
        with self._lock:
            return sorted(self._models)

    def count(self, model: str) -> int:
        """See :class:`VectorIndex`."""
        with self._lock:
            return len(self._models.get(model, {}))

    def keys(self, model: str) -> Iterator[RowKey]:
        """See :class:`VectorIndex`."""
        with self._lock:
            return iter(list(self._models.get(model, {})))

    def rows_of(self, model: str, face_ids: Iterable[str]) -> set[RowKey]:
        """See :class:`VectorIndex`."""
        wanted = set(face_ids)
        return {key for key in self.keys(model) if key.face_id in wanted}

    def drop(self, model: str) -> None:
        """See :class:`VectorIndex`."""
        with self._lock:
            self._models.pop(model, None)

    def maintain(self) -> None:
        """Nothing to do."""

    def doubtful(self) -> bool:
        """Never."""
        return False

    def facts(self) -> Mapping[str, Any]:
        """See :class:`VectorIndex`."""
        return {"kind": "memory", "version": "1"}

    def capacity(self) -> int | None:
        """See :class:`VectorIndex`."""
        return None

    def unindexed(self) -> int:
        """None: the search is exact."""
        return 0

    def close(self) -> None:
        """Nothing to release."""
