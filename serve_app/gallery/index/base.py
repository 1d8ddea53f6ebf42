"""The interface of the vector index.

A row stands for a face in a collection. The index is derived data: it can be rebuilt from the records, and hits that
the records do not know are ignored. Rows of different models (embedders) are never compared.
"""

from __future__ import annotations

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

    def upsert(self, model: str, rows: Sequence[IndexRow]) -> None:
        """Add or overwrite rows. Raises InvalidRequest if a vector does not have the dimension of the model's part."""

    def delete(self, model: str, keys: Sequence[RowKey]) -> None:
        """Remove rows; rows that do not exist are ignored."""

    def settle(self, model: str, key: RowKey) -> None:
        """Wait until searches in all processes find a row that was upserted before."""

    def search(self, model: str, probes: Vectors, collections: Sequence[str], limit: int) -> list[list[Hit]]:
        """The nearest rows for each probe, highest cosine first.

        Args:
            probes: float32 (n, dimension), rows of unit norm.
            collections: ids; only their rows are searched.
            limit: most rows for each probe.

        Raises InvalidRequest if the probes do not have the dimension of the model's part.
        """

    def warm_up(self) -> None:
        """Do the work that would otherwise slow down the first search."""

    def models(self) -> list[str]:
        """Ids of the models that have a part; it can be empty."""

    def count(self, model: str) -> int:
        """Number of a model's rows."""

    def keys(self, model: str) -> Iterator[RowKey]:
        """Keys of all rows of a model, in no order."""

    def rows_of(self, model: str, face_ids: Iterable[str]) -> set[RowKey]:
        """Keys of a model's rows of these faces."""

    def vectors(self, model: str, keys: Sequence[RowKey]) -> dict[RowKey, NDArray[np.float32]]:
        """The vectors of those of the rows that exist, as searches see them, whatever their values are."""

    def dimension(self, model: str) -> int | None:
        """Dimension of the vectors of a model's part; None without a part."""

    def drop(self, model: str) -> None:
        """Remove a model's part with all its rows."""

    def maintain(self) -> None:
        """Periodic maintenance, called about every second. Raises StoreUnavailable while the store does not answer."""

    def scrub(self) -> None:
        """Remove deleted rows from the files of an embedded index, and its write-ahead log. Cheap if there are none."""

    def doubtful(self) -> bool:
        """Whether a call has failed since this was last called, so that the rows may differ from the records."""

    def facts(self) -> Mapping[str, Any]:
        """``kind`` and ``version`` of the store, JSON-ready. Cheap."""

    def capacity(self) -> int | None:
        """Number of rows up to which this kind of index should be used; None without such a limit."""

    def unindexed(self) -> int:
        """Number of rows that searches can miss because the server has not built the index of their vectors yet."""

    def close(self) -> None:
        """Release files, threads and connections."""
