"""The vector index on a Milvus server (2.3 or newer), accessed through ``MilvusClient`` only.

There is one Milvus collection for each model, and in it one row for each face in each collection of the gallery. Rows
are written with ``upsert`` only, because a server keeps both rows when a duplicate is inserted. Ids are checked to be
hex digits before they are put into an expression: the client quotes them without escaping. :mod:`.milvus_lite` is the
embedded variant.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from serve_app.domain import Vectors
from serve_app.errors import InvalidRequest
from serve_app.gallery.index.base import Hit, IndexRow, RowKey
from serve_app.gallery.index.circuit_breaker import CircuitBreaker
from serve_app.gallery.index.milvus_collections import MilvusCollections, id_list, to_key, to_pk
from serve_app.gallery.index.milvus_connection import connect
from serve_app.gallery.index.milvus_segments import Segments
from serve_app.index_parameters import candidates
from serve_app.observability import tracing

T = TypeVar("T")

BATCH = 1000  # rows of one call: with 512 float32 each 2 MB, where a server accepts 64 MB
MAX_LIMIT = 16_384  # most rows that a server returns for one probe
ITERATED = 10_000  # rows of one step of an iteration; milvus-lite goes through all rows for each step


class Query(NamedTuple):
    """Parameters of a search except its probes; ``name`` is that of the Milvus collection."""

    model: str
    name: str
    collections: tuple[str, ...]
    limit: int


class MilvusIndex:
    """Implements :class:`~serve_app.gallery.index.base.VectorIndex` on a Milvus server.

    Args:
        token: of the server; can be empty.
        namespace: distinguishes the installations that share a server: hex digits.
        timeout_s: after which a call fails.

    Raises StoreUnavailable: the server does not answer.
    """

    KIND = "milvus"
    EMBEDDED = False

    def __init__(self, uri: str, token: str, namespace: str, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._client = connect(uri, token, timeout_s)
        self._segments = Segments(self._client, timeout_s)
        self._breaker = CircuitBreaker(lambda wait_s: self._client.get_server_version(timeout=wait_s), timeout_s)
        self._milvus_collections = MilvusCollections(self._client, self.EMBEDDED, namespace, timeout_s, self._breaker)
        try:
            with self._breaker.guard():
                self._version = str(self._client.get_server_version(timeout=timeout_s))
            self.models()
        except BaseException:
            self.close()
            raise

    # -- rows

    def attend(self, connection: sa.Connection) -> None:
        """Does nothing: this index stays where it is."""

    def upsert(self, model: str, rows: Sequence[IndexRow]) -> None:
        if not rows:
            return
        name, expected = self._milvus_collections.find(model) or self._milvus_collections.create(
            model, len(rows[0].vector)
        )
        for row in rows:
            if len(row.vector) != expected:
                raise InvalidRequest(f"Templates of {model} have {expected} dimensions, got {len(row.vector)}.")
        for batch in _batches(rows):
            data = [
                {
                    "pk": to_pk(row.key),
                    "collection_id": row.key.collection_id,
                    "face_id": row.key.face_id,
                    "vector": row.vector,
                }
                for row in batch
            ]
            with self._writing(name, len(batch)):
                self._client.upsert(name, data, timeout=self._timeout_s)

    def delete(self, model: str, keys: Sequence[RowKey]) -> None:
        part = self._milvus_collections.find(model)
        if part is None:
            return
        for batch in _batches(keys):
            with self._writing(part.name, len(batch)):
                self._client.delete(part.name, ids=[to_pk(key) for key in batch], timeout=self._timeout_s)

    def settle(self, model: str, key: RowKey) -> None:
        part = self._milvus_collections.find(model)
        if part is None:
            return
        with self._breaker.guard(), tracing.span("index settle"):
            # A Strong query waits until the query nodes have consumed all earlier writes: then all searches see them.
            self._client.query(
                part.name, ids=[to_pk(key)], output_fields=["pk"], consistency_level="Strong", timeout=self._timeout_s
            )

    def warm_up(self) -> None:
        for model in self.models():
            part = self._milvus_collections.find(model)
            if part is not None:
                self.search(model, np.eye(1, part.dimension, dtype=np.float32), ["0" * 32], 1)

    def search(self, model: str, probes: Vectors, collections: Sequence[str], limit: int) -> list[list[Hit]]:
        part = self._milvus_collections.find(model)
        if part is None or not len(probes) or not collections:
            return [[] for _ in probes]
        name, dimension = part
        if probes.shape[1] != dimension:
            raise InvalidRequest(f"Templates of {model} have {dimension} dimensions, got {probes.shape[1]}.")
        with tracing.span("index search"):
            return self._search(Query(model, name, tuple(collections), limit), probes)

    def _search(self, query: Query, probes: Vectors) -> list[list[Hit]]:
        ef = max(candidates(self._segments.largest(query.name)), query.limit)
        with self._breaker.guard():
            answers = self._client.search(
                query.name,
                data=list(probes),
                filter=f"collection_id in [{id_list(query.collections)}]",
                limit=min(query.limit, MAX_LIMIT),
                output_fields=["pk"],
                search_params={"metric_type": "COSINE", "params": {"ef": ef}},
                anns_field="vector",
                consistency_level="Bounded",  # takes 2 ms, where Strong waits 200 ms; here, writers wait instead
                timeout=self._timeout_s,
            )
        return [[Hit(to_key(hit["pk"]), float(hit["distance"])) for hit in hits] for hits in answers]

    def keys(self, model: str) -> Iterator[RowKey]:
        part = self._milvus_collections.find(model)
        if part is None:
            return
        self.count(model)  # waits for the latest writes, which an iterator of a server does not do
        for row in self._iterate(part.name, "pk"):
            yield to_key(row["pk"])

    def _iterate(self, name: str, *fields: str) -> Iterator[Mapping[str, Any]]:
        with self._breaker.guard():
            iterator = self._client.query_iterator(
                name, batch_size=ITERATED, output_fields=list(fields), timeout=self._timeout_s
            )
        try:
            while True:
                with self._breaker.guard():
                    rows = iterator.next()
                if not rows:
                    return
                yield from rows
        finally:
            iterator.close()

    def rows_of(self, model: str, face_ids: Iterable[str]) -> set[RowKey]:
        part = self._milvus_collections.find(model)
        found: set[RowKey] = set()
        if part is None:
            return found
        for batch in _batches(list(face_ids), 100):
            with self._breaker.guard():
                rows = self._client.query(
                    part.name,
                    filter=f"face_id in [{id_list(batch)}]",
                    output_fields=["pk"],
                    limit=MAX_LIMIT,
                    timeout=self._timeout_s,
                    consistency_level="Strong",
                )
            found.update(to_key(row["pk"]) for row in rows)
        return found

    def vectors(self, model: str, keys: Sequence[RowKey]) -> dict[RowKey, NDArray[np.float32]]:
        part = self._milvus_collections.find(model)
        found: dict[RowKey, NDArray[np.float32]] = {}
        if part is None:
            return found
        for batch in _batches(keys):
            with self._breaker.guard():
                rows = self._client.query(
                    part.name,
                    ids=[to_pk(key) for key in batch],
                    output_fields=["pk", "vector"],
                    timeout=self._timeout_s,
                    consistency_level="Strong",
                )
            found.update((to_key(row["pk"]), np.asarray(row["vector"], np.float32)) for row in rows)
        return found

    def dimension(self, model: str) -> int | None:
        part = self._milvus_collections.find(model)
        return None if part is None else part.dimension

    def count(self, model: str) -> int:
        part = self._milvus_collections.find(model)
        if part is None:
            return 0
        with self._breaker.guard():
            rows = self._client.query(
                part.name, filter="", output_fields=["count(*)"], timeout=self._timeout_s, consistency_level="Strong"
            )
        return int(rows[0]["count(*)"])

    # -- parts

    def models(self) -> list[str]:
        return self._milvus_collections.models()

    def drop(self, model: str) -> None:
        name = self._milvus_collections.drop(model)
        if name is not None:
            self._segments.dropped(name)

    # -- life

    def maintain(self) -> None:
        self._breaker.probe()
        self._segments.seal()
        for part in self._milvus_collections.opened():
            self._segments.read_sizes(part.name)

    def scrub(self) -> None:
        """Does nothing: a server removes deleted rows from its segments when it compacts them, by its own settings."""

    def doubtful(self) -> bool:
        """Also forgets the opened Milvus collections, because a server can restart without any rows."""
        was, self._breaker.failed = self._breaker.failed, False
        if was:
            self._milvus_collections.forget()
        return was

    def facts(self) -> Mapping[str, Any]:
        with self._breaker.guard():
            self._version = str(self._client.get_server_version(timeout=min(5.0, self._timeout_s)))
        return {"kind": self.KIND, "version": self._version.removeprefix("milvus_lite-").removeprefix("v")}

    def capacity(self) -> int | None:
        return None

    def unindexed(self) -> int:
        counted = [
            (part.name, self.count(model)) for model in self.models() if (part := self._milvus_collections.find(model))
        ]
        with self._breaker.guard():
            return sum(self._segments.unindexed(name, rows) for name, rows in counted)

    def close(self) -> None:
        self._client.close()

    @contextmanager
    def _writing(self, name: str, rows: int) -> Iterator[None]:
        with self._breaker.guard(), tracing.span("index write"):
            yield
        self._written(name, rows)

    def _written(self, name: str, rows: int) -> None:
        self._segments.written(name, rows)


def _batches(items: Sequence[T], size: int = BATCH) -> Iterator[Sequence[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))
