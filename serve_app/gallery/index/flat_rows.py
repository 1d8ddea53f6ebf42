"""A copy of the embedded index's rows in memory, for exact searches over all rows.

For every search, milvus-lite iterates over its rows in Python: 5 ms at 10,000 rows, 40 ms at 100,000. A matrix product
over the same rows takes 0.06 ms and 1.1 ms, and finds all of them. So milvus-lite only stores the rows; this copy is
read from it once and then changed together with it. 100,000 rows of 128 numbers take 51 MB, plus a quarter of that for
their ids.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from serve_app.domain import Vectors
from serve_app.gallery.checks import are_templates
from serve_app.gallery.index.base import Hit, IndexRow, RowKey

MOST_COSINES = 1 << 23
"""Cosines that are computed at a time: 32 MB."""


class Rows:
    """The rows of one collection, with vectors of this dimension, in no order. Not thread-safe."""

    def __init__(self, dimension: int) -> None:
        self._vectors = np.empty((16, dimension), np.float32)
        self._ids: list[str] = []
        self._positions: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def faces(self) -> tuple[str, ...]:
        """Ids of the faces that have a row."""
        return tuple(self._ids)

    def put(self, face_id: str, vector: NDArray[np.float32]) -> None:
        """Add or overwrite a face's row."""
        position = self._positions.setdefault(face_id, len(self._ids))
        if position == len(self._ids):
            self._ids.append(face_id)
            if position == len(self._vectors):
                self._vectors = np.concatenate([self._vectors, np.empty_like(self._vectors)])
        self._vectors[position] = vector

    def remove(self, face_id: str) -> None:
        """Remove a face's row, if there is one; the last row moves to its position."""
        position = self._positions.pop(face_id, None)
        if position is None:
            return
        last = self._ids.pop()
        if last != face_id:
            self._vectors[position] = self._vectors[len(self._ids)]
            self._ids[position] = last
            self._positions[last] = position
        self._vectors[len(self._ids)] = 0.0  # no template stays in memory after its face was erased
        if len(self._ids) < len(self._vectors) // 4:
            self._vectors = self._vectors[: max(16, len(self._vectors) // 2)].copy()

    def of(self, face_id: str) -> NDArray[np.float32] | None:
        """A copy of a face's vector; None if it has no row."""
        position = self._positions.get(face_id)
        return None if position is None else self._vectors[position].copy()

    def damaged(self) -> list[str]:
        """Ids of the faces whose row is not finite or not of norm 1."""
        sound = are_templates(self._vectors[: len(self._ids)])
        return [self._ids[position] for position in np.flatnonzero(~sound)]

    def nearest(self, probes: Vectors, limit: int) -> list[list[tuple[float, str]]]:
        """For each probe (n, dimension) up to ``limit`` pairs of cosine and face id, highest cosine first."""
        number = len(self._ids)
        step = max(1, MOST_COSINES // max(1, number))
        found = []
        for start in range(0, len(probes), step):
            for cosines in probes[start : start + step] @ self._vectors[:number].T:
                near = np.argpartition(cosines, number - limit)[number - limit :] if limit < number else range(number)
                found.append(
                    sorted(((float(cosines[position]), self._ids[position]) for position in near), reverse=True)
                )
        return found


class FlatRows:
    """The rows of each model, by collection. Thread-safe.

    A model's rows are read when it is first searched. Before that, and after :meth:`forget`, changes are ignored.
    """

    def __init__(self) -> None:
        self._models: dict[str, dict[str, Rows]] = {}
        self._lock = threading.Lock()

    def __contains__(self, model: str) -> bool:
        return model in self._models

    def read(self, model: str, rows: Iterable[IndexRow]) -> int:
        """Copy all rows of a model, except those that are not finite or not of norm 1; the number of these.

        The caller prevents changes of the rows until this returns.
        """
        held: dict[str, Rows] = {}
        _put(held, rows)
        left_out = [RowKey(id_, face_id) for id_, of_collection in held.items() for face_id in of_collection.damaged()]
        with self._lock:
            self._models[model] = held
        self.remove(model, left_out)
        return len(left_out)

    def put(self, model: str, rows: Iterable[IndexRow]) -> None:
        """Apply the addition or overwriting of rows."""
        with self._lock:
            held = self._models.get(model)
            if held is not None:
                _put(held, rows)

    def remove(self, model: str, keys: Iterable[RowKey]) -> None:
        """Apply the removal of rows."""
        with self._lock:
            held = self._models.get(model, {})
            for key in keys:
                rows = held.get(key.collection_id)
                if rows is not None:
                    rows.remove(key.face_id)
                    if not len(rows):
                        del held[key.collection_id]

    def forget(self, model: str | None = None) -> None:
        """Discard the copy of a model's rows, None for all models; the next search reads them again."""
        with self._lock:
            if model is None:
                self._models.clear()
            else:
                self._models.pop(model, None)

    def keys(self, model: str) -> list[RowKey] | None:
        """Keys of all rows of a model; None if they must be read first."""
        with self._lock:
            held = self._models.get(model)
            if held is None:
                return None
            return [RowKey(id_, face) for id_, rows in held.items() for face in rows.faces]

    def vectors(self, model: str, keys: Iterable[RowKey]) -> dict[RowKey, NDArray[np.float32]] | None:
        """As ``VectorIndex.vectors``; None if the model's rows must be read first."""
        with self._lock:
            held = self._models.get(model)
            if held is None:
                return None
            found = ((key, held[key.collection_id].of(key.face_id)) for key in keys if key.collection_id in held)
            return {key: vector for key, vector in found if vector is not None}

    def nearest(self, model: str, probes: Vectors, collections: Sequence[str], limit: int) -> list[list[Hit]] | None:
        """As ``VectorIndex.search``; None if the model's rows must be read first."""
        with self._lock:
            held = self._models.get(model)
            if held is None:
                return None
            found: list[list[Hit]] = [[] for _ in probes]
            for id_ in collections:
                if id_ in held:
                    for hits, near in zip(found, held[id_].nearest(probes, limit), strict=True):
                        hits += [Hit(RowKey(id_, face_id), cosine) for cosine, face_id in near]
        return [sorted(hits, key=lambda hit: -hit.cosine)[:limit] for hits in found]


def _put(held: dict[str, Rows], rows: Iterable[IndexRow]) -> None:
    for row in rows:
        collection = row.key.collection_id
        if collection not in held:
            held[collection] = Rows(len(row.vector))
        held[collection].put(row.key.face_id, row.vector)
