"""The interface of the vector index.

A row says that a face is in a collection. The index is derived data: whatever it holds can be rebuilt from the records,
and hits that the records do not know are ignored. Rows of different models never meet.
"""

from __future__ import annotations

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
