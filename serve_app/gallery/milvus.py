"""The vector index on Milvus: the embedded milvus-lite or a server (2.3 or newer), through ``MilvusClient`` alone.

One Milvus collection for each model, one row for each face in each collection. Only ``upsert`` is used, since a server
keeps both rows of an inserted duplicate. Ids consist of hex digits, which is checked before they reach an expression:
the client quotes them without escaping.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import sqlalchemy as sa

from serve_app import tracing
from serve_app.domain import Vectors
from serve_app.errors import InvalidRequest, StoreUnavailable
from serve_app.gallery.coalescing import Coalescer
from serve_app.gallery.index import Hit, IndexRow, RowKey
from serve_app.gallery.milvus_calls import Calls
from serve_app.gallery.milvus_connection import connect, disconnect
from serve_app.gallery.milvus_keys import quoted, to_key, to_pk
from serve_app.gallery.milvus_parts import Parts
from serve_app.gallery.milvus_segments import Segments
from serve_app.gallery.places import is_embedded

log = logging.getLogger(__name__)

T = TypeVar("T")

MIN_EF = 128
"""Candidates of the graph search: of 100,000 faces on a server 64 find 99.5 % of the nearest ones, 128 all of 2,000."""

BATCH = 1000  # rows of one call; 512 float32 are 2 MB, a server takes 64 MB
MAX_LIMIT = 16_384  # of one search on a server

FLUSH_ROWS = 100  # milvus-lite: a row not yet flushed costs every search some 10 to 60 microseconds
FLUSH_IDLE_S = 1.0

EMBEDDED_ROWS = 50_000
"""Rows that milvus-lite searches in some 30 ms; it takes in proportion longer for more, a server does not."""


class MilvusIndex:
    """See :class:`~serve_app.gallery.index.VectorIndex`.

    Args:
        uri: a path ending in ``.db`` for milvus-lite, or a server's URL.
        token: of that server; may be empty.
        namespace: tells apart the installations that share a server: hex digits.
        timeout_s: after which a call counts as failed.

    Raises:
        ConfigurationError: another process has the file open, or the path is no place for it.
        StoreUnavailable: the server does not answer.
    """

    def __init__(self, uri: str, token: str, namespace: str, timeout_s: float) -> None:
        self._embedded = is_embedded(uri)
        self._uri = str(Path(uri).resolve()) if self._embedded else uri
        self._timeout_s = timeout_s
        self._lock = threading.RLock()  # milvus-lite corrupts its log when two threads write
        self._unflushed: dict[str, int] = {}
        self._last_write = 0.0
        self._client = connect(self._uri, token, timeout_s)
        self._coalescer = Coalescer(self._search)
        self._segments = Segments(self._client, timeout_s)
        self._calls = Calls(lambda wait_s: self._client.get_server_version(timeout=wait_s), timeout_s)
        self._parts = Parts(self._client, self._embedded, namespace, timeout_s, self._calls)
        try:
            with self._calls.made():
                self._version = str(self._client.get_server_version(timeout=timeout_s))
            self.models()
        except BaseException:
            self.close()
            raise

    # -- rows

    def attend(self, connection: sa.Connection) -> None:
        """See :class:`VectorIndex`."""

    def upsert(self, model: str, rows: Sequence[IndexRow]) -> None:
        """See :class:`VectorIndex`."""
        if not rows:
            return
        name, expected = self._parts.find(model) or self._parts.create(model, len(rows[0].vector))
        for row in rows:
            if len(row.vector) != expected:
                raise InvalidRequest(f"Templates of {model} have {expected} dimensions, got {len(row.vector)}.")
        data = [
            {
                "pk": to_pk(row.key),
                "collection_id": row.key.collection_id,
                "face_id": row.key.face_id,
                "vector": row.vector,
            }
            for row in rows
        ]
        for batch in _batches(data):
            with self._writing(name, len(batch)):
                self._client.upsert(name, batch, timeout=self._timeout_s)

    def delete(self, model: str, keys: Sequence[RowKey]) -> None:
        """See :class:`VectorIndex`."""
        part = self._parts.find(model)
        if part is None:
            return
        for batch in _batches([to_pk(key) for key in keys]):
            with self._writing(part.name, len(batch)):
                self._client.delete(part.name, ids=batch, timeout=self._timeout_s)

    def settle(self, model: str, key: RowKey) -> None:
        """See :class:`VectorIndex`."""
        part = self._parts.find(model)
        if self._embedded or part is None:
            return
        with self._calls.made(), tracing.span("index settle"):
            # Strong waits until the query nodes have consumed every write made before: from then on all searches see
            # it.
            self._client.query(
                part.name, ids=[to_pk(key)], output_fields=["pk"], consistency_level="Strong", timeout=self._timeout_s
            )

    def warm_up(self) -> None:
        """See :class:`VectorIndex`: the first search of a process takes a third of a second more than all others."""
        for model in self.models():
            part = self._parts.find(model)
            if part is not None:
                self.search(model, np.eye(1, part.dimension, dtype=np.float32), ["0" * 32], 1)

    def search(self, model: str, probes: Vectors, collections: Sequence[str], limit: int) -> list[list[Hit]]:
        """See :class:`VectorIndex`."""
        part = self._parts.find(model)
        if part is None or not len(probes) or not collections:
            return [[] for _ in probes]
        name, dimension = part
        if probes.shape[1] != dimension:
            raise InvalidRequest(f"Templates of {model} have {dimension} dimensions, got {probes.shape[1]}.")
        query = _Query(name, f"collection_id in [{quoted(collections)}]", limit)
        with tracing.span("index search"):
            return self._coalescer.search(query, probes) if self._embedded else self._search(query, probes)

    def _search(self, query: _Query, probes: Vectors) -> list[list[Hit]]:
        name, places, limit = query
        with self._calls.made():
            answers = self._client.search(
                name,
                data=list(probes),
                filter=places,
                limit=min(limit, MAX_LIMIT),
                output_fields=["pk"],  # without it milvus-lite sends the vectors too
                search_params={"metric_type": "COSINE", "params": {"ef": max(MIN_EF, limit)}},
                anns_field="vector",
                consistency_level="Bounded",  # 2 ms on a server, where Strong waits 200 ms; writers wait instead
                timeout=self._timeout_s,
            )
        return [[Hit(to_key(hit["pk"]), float(hit["distance"])) for hit in hits] for hits in answers]

    def keys(self, model: str) -> Iterator[RowKey]:
        """See :class:`VectorIndex`."""
        part = self._parts.find(model)
        if part is None:
            return
        self.count(model)  # waits for the latest writes, which an iterator on a server does not
        with self._calls.made():
            iterator = self._client.query_iterator(
                part.name, batch_size=5000, output_fields=["pk"], timeout=self._timeout_s
            )
        try:
            while True:
                with self._calls.made():
                    rows = iterator.next()
                if not rows:
                    return
                yield from (to_key(row["pk"]) for row in rows)
        finally:
            iterator.close()

    def rows_of(self, model: str, face_ids: Iterable[str]) -> set[RowKey]:
        """See :class:`VectorIndex`."""
        part = self._parts.find(model)
        found: set[RowKey] = set()
        if part is None:
            return found
        for batch in _batches(list(face_ids), 100):
            with self._calls.made():
                rows = self._client.query(
                    part.name,
                    filter=f"face_id in [{quoted(batch)}]",
                    output_fields=["pk"],
                    limit=MAX_LIMIT,
                    timeout=self._timeout_s,
                    **self._strong,
                )
            found.update(to_key(row["pk"]) for row in rows)
        return found

    def count(self, model: str) -> int:
        """See :class:`VectorIndex`."""
        part = self._parts.find(model)
        if part is None:
            return 0
        with self._calls.made():
            rows = self._client.query(
                part.name, filter="", output_fields=["count(*)"], timeout=self._timeout_s, **self._strong
            )
        return int(rows[0]["count(*)"])

    # -- parts

    def models(self) -> list[str]:
        """See :class:`VectorIndex`."""
        return self._parts.models()

    def drop(self, model: str) -> None:
        """See :class:`VectorIndex`."""
        with self._lock:
            name = self._parts.drop(model)
            if name is not None:
                self._unflushed.pop(name, None)
                self._segments.dropped(name)

    # -- life

    def maintain(self) -> None:
        """See :class:`VectorIndex`."""
        self._calls.probe()
        self._segments.seal()
        if not self._unflushed or time.monotonic() - self._last_write < FLUSH_IDLE_S:
            return
        with self._lock:
            for name in list(self._unflushed):
                self._flush(name)

    def doubtful(self) -> bool:
        """See :class:`VectorIndex`. A failed flush loses rows of milvus-lite; a server may come back without any."""
        was, self._calls.failed = self._calls.failed, False
        if was:
            self._parts.forget()
        return was

    def facts(self) -> Mapping[str, Any]:
        """See :class:`VectorIndex`."""
        with self._calls.made():
            self._version = str(self._client.get_server_version(timeout=min(5.0, self._timeout_s)))
        version = self._version.removeprefix("milvus_lite-").removeprefix("v")
        return {"kind": "milvus-lite" if self._embedded else "milvus", "version": version}

    def capacity(self) -> int | None:
        """See :class:`VectorIndex`."""
        return EMBEDDED_ROWS if self._embedded else None

    def unindexed(self) -> int:
        """See :class:`VectorIndex`; milvus-lite has indexed what it has written."""
        if self._embedded:
            return 0
        counted = [(part.name, self.count(model)) for model in self.models() if (part := self._parts.find(model))]
        with self._calls.made():
            return sum(self._segments.unindexed(name, rows) for name, rows in counted)

    def close(self) -> None:
        """See :class:`VectorIndex`."""
        with self._lock:
            for name in list(self._unflushed):
                try:
                    self._flush(name)
                except StoreUnavailable as error:
                    log.warning("%s", error)  # nothing is lost: the next start repairs the index from the records
            disconnect(self._client, self._uri)

    def _flush(self, name: str) -> None:
        with self._calls.made(), tracing.span("index flush"):
            self._client.flush(name, timeout=max(60.0, self._timeout_s))
        self._unflushed.pop(name, None)

    @property
    def _strong(self) -> dict[str, str]:
        return {} if self._embedded else {"consistency_level": "Strong"}

    @contextmanager
    def _writing(self, name: str, rows: int) -> Iterator[None]:
        if not self._embedded:
            with self._calls.made(), tracing.span("index write"):
                yield
            self._segments.written(name, rows)
            return
        with self._lock:
            with self._calls.made(), tracing.span("index write"):
                yield
            self._last_write = time.monotonic()
            self._unflushed[name] = self._unflushed.get(name, 0) + rows
            if self._unflushed[name] >= FLUSH_ROWS:
                self._flush(name)


class _Query(NamedTuple):
    """What searches that can be combined have in common."""

    name: str
    places: str
    limit: int


def _batches(items: list[T], size: int = BATCH) -> Iterator[list[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))
