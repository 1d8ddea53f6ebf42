"""The vector index: an interface, and an exact implementation in memory for tests and small experiments.

A row says that a face is in a collection. The index is derived data: whatever it holds can be rebuilt from the records,
and hits that the records do not know are ignored. Rows of different models never meet.
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
    """What identifies a row: two ids of 32 hex digits."""

    collection_id: str
    face_id: str


class IndexRow(NamedTuple):
    """A face in a collection; ``vector`` is float32 (dimension,) of unit norm."""

    key: RowKey
    vector: NDArray[np.float32]


class Hit(NamedTuple):
    """A row near a probe; ``cosine`` from -1 to 1."""

    key: RowKey
    cosine: float


class VectorIndex(Protocol):
    """Nearest rows by cosine. Thread-safe. Every method may raise ``StoreUnavailable``.

    A model's part of the index comes into being with its first row; until then it is empty.
    """

    def attend(self, connection: sa.Connection) -> None:
        """Called at the start of each transaction that changes rows: where they are may have changed."""
        ...

    def upsert(self, model: str, rows: Sequence[IndexRow]) -> None:
        """Add or overwrite rows. Raises InvalidRequest if the dimension is not the model's."""
        ...

    def delete(self, model: str, keys: Sequence[RowKey]) -> None:
        """Remove rows; those that are not there count as removed."""
        ...

    def settle(self, model: str, key: RowKey) -> None:
        """Return when searches see the row that was upserted before."""
        ...

    def search(self, model: str, probes: Vectors, collections: Sequence[str], limit: int) -> list[list[Hit]]:
        """Up to ``limit`` nearest rows of these collections (ids) for each probe (n, dimension), nearest first.

        Raises InvalidRequest if the dimension is not the model's.
        """
        ...

    def warm_up(self) -> None:
        """Make the first search as fast as the others."""
        ...

    def models(self) -> list[str]:
        """Ids of the models that have a part, possibly an empty one."""
        ...

    def count(self, model: str) -> int:
        """Number of rows."""
        ...

    def keys(self, model: str) -> Iterator[RowKey]:
        """All rows, in no order."""
        ...

    def rows_of(self, model: str, face_ids: Iterable[str]) -> set[RowKey]:
        """The rows of these faces."""
        ...

    def drop(self, model: str) -> None:
        """Remove a model's part."""
        ...

    def maintain(self) -> None:
        """House-keeping, called every second or so. Raises StoreUnavailable while the store does not answer."""
        ...

    def doubtful(self) -> bool:
        """Whether a call has failed since the last question, so that rows may be missing."""
        ...

    def facts(self) -> Mapping[str, Any]:
        """``kind`` and ``version``, JSON-ready; cheap."""
        ...

    def capacity(self) -> int | None:
        """Rows up to which it is meant to be used; None: no such bound."""
        ...

    def unindexed(self) -> int:
        """Rows that searches may miss, since what finds them is still being built."""
        ...

    def close(self) -> None:
        """Release everything: files, threads, connections."""
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
